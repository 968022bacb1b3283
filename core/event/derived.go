package event

// Derived returns what work makes of the set, once: it is kept beside the set for as long as that is, and shared by all who ask. Of each
// type there is one, so work has to be one pure function of the set for each type. Two callers at once may both call it, and get the same.
func Derived[T any](s Set, work func(Set) *T) *T {
	if s.set == nil {
		return work(s)
	}
	var made *T
	for {
		kept := s.derived.Load()
		if kept != nil {
			for _, one := range *kept {
				if found, is := one.(*T); is {
					return found
				}
			}
		}
		if made == nil {
			made = work(s)
		}
		more := []any{made}
		if kept != nil {
			more = append(more, *kept...)
		}
		if s.derived.CompareAndSwap(kept, &more) {
			return made
		}
	}
}
