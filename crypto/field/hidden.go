package field

// hidden keeps a value from readers by reflection, such as fmt and dumps of
// structs: they follow pointers, and ask no method of an unexported field, but
// cannot look into a function.
type hidden[T any] func() *T

func hide[T any](v *T) hidden[T] { return func() *T { return v } }
