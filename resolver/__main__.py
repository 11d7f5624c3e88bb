"""The command ``python -m resolver <surface>``: settles one surface until SIGTERM or Ctrl-C."""

from journal import process

SURFACES = {"fx": ("resolver.oanda_fx.wire", "resolver-fx")}

if __name__ == "__main__":
    raise SystemExit(process.main("resolver", __doc__, SURFACES))
