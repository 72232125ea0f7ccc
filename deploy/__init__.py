"""What runs the exporter elsewhere: manifests and units."""
