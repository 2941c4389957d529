"""What all operations of one kind share: types, shapes, recording, the fast paths."""
