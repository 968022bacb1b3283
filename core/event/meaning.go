package event

import "slices"

// Meaningless names the first member that says what no reader knows, and what there is to say; empty if all is known. What callers of
// earlier versions could say freely, environments and credentials, is theirs.
func (e *Event) Meaningless() (member string, known []string) {
	for _, c := range []struct {
		member, said string
		known        []string
	}{
		{"route", string(e.Route), texts(Local, CDA, SecurityKey)},
		{"kind", string(e.Kind), texts(KindDefault, KindAfterError, KindAfterHybrid, KindAuto, KindConditionalCreate)},
		{"source", string(e.Source), texts(Sources()...)},
		{"attachment", e.Attachment, []string{"platform", "cross-platform"}},
	} {
		if c.said != "" && !slices.Contains(c.known, c.said) {
			return c.member, c.known
		}
	}
	return "", nil
}

func texts[T ~string](values ...T) []string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = string(v)
	}
	return all
}
