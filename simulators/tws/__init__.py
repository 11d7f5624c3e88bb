"""The TWS/Gateway socket protocol in front of the shared venue."""
