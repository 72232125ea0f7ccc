"""What writes or proves the artefacts: boards, references, manifests, rooms, and the real programs in `stack`."""
