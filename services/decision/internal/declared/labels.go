package declared

import (
	"cmp"
	"encoding/json"
	"slices"
)

// Label is a name that a bundle declares, and whether the account has it, or the request is in it.
type Label struct {
	Name string
	Has  bool
}

// Labels are names that a bundle declares, sorted: of labels, or of lists. The JSON form is an object from name to whether the account has
// it, or the request is in it.
type Labels []Label

// NewLabels returns the declared names, which are sorted, with those that an account has. Others that it has are left out.
func NewLabels(declared, has []string) Labels {
	if len(declared) == 0 {
		return nil
	}
	labels := make(Labels, len(declared))
	for i, name := range declared {
		labels[i] = Label{Name: name, Has: slices.Contains(has, name)}
	}
	return labels
}

// MarshalJSON implements json.Marshaler.
func (l Labels) MarshalJSON() ([]byte, error) {
	names := make(map[string]bool, len(l))
	for _, one := range l {
		names[one.Name] = one.Has
	}
	return json.Marshal(names)
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *Labels) UnmarshalJSON(raw []byte) error {
	var names map[string]bool
	if err := json.Unmarshal(raw, &names); err != nil {
		return err
	}
	*l = make(Labels, 0, len(names))
	for name, has := range names {
		*l = append(*l, Label{Name: name, Has: has})
	}
	slices.SortFunc(*l, func(a, b Label) int { return cmp.Compare(a.Name, b.Name) })
	return nil
}
