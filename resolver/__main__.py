"""The command ``python -m resolver <surface>``: settles one surface until SIGTERM or Ctrl-C."""

from journal import process

SURFACES = {
    "st": ("resolver.kalshi_st.wire", "resolver-st"),
    "lt": ("resolver.kalshi_lt.wire", "resolver-lt"),
    "stk": ("resolver.ibkr_stk.wire", "resolver-stk"),
    "fx": ("resolver.oanda_fx.wire", "resolver-fx"),
}

if __name__ == "__main__":
    raise SystemExit(process.main("resolver", __doc__, SURFACES))
