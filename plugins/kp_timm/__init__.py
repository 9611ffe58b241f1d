"""Any timm network with features as a backbone."""
