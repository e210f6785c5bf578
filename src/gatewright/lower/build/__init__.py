"""Program in, circuit out."""
