"""What both event surfaces share: contracts in, beliefs about them, proposals out."""
