"""Who speaks telephone? Records in (shipper, collector), orders out (dispatcher)."""
