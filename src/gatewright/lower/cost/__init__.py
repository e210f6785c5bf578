"""What an operation takes on a family: LUTs, sites, delays."""
