package field

// SkipChunks lets the next chunk of w be number n.
func SkipChunks(w *StreamWriter, n int64) { w.get().chunks = n }
