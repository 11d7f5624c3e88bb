"""The ten gates, one file each, in the order that ``risk.chain`` gives them."""
