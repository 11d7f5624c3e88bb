"""The resolvers of the event surfaces: outcomes from the venue, seen earlier where a thermometer shows them."""
