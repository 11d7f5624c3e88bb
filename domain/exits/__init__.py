"""How an open position ends: what was planned for it, where it stands, and what each bar and quote does to it.

It lies here, below brokers and strategies, because a dry run's account must end positions by the very rules that live
trading, resolvers and backtests go by. These import it through ``strategies.exits``.
"""
