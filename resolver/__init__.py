"""The resolvers: one process a surface that ends what the surface began and says how it ended."""
