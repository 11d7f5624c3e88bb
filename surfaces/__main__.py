"""The command ``python -m surfaces <surface>``: runs one surface until SIGTERM or Ctrl-C."""

from journal import process

SURFACES = {
    "st": ("surfaces.kalshi_st.wire", "kalshi-st"),
    "lt": ("surfaces.kalshi_lt.wire", "kalshi-lt"),
    "stk": ("surfaces.ibkr_stk.wire", "ibkr-stk"),
    "fx": ("surfaces.oanda_fx.wire", "oanda-fx"),
}

if __name__ == "__main__":
    raise SystemExit(process.main("surfaces", __doc__, SURFACES))
