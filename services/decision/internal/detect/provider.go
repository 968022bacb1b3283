package detect

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// ProviderOf returns the AAGUID that stands for a passkey provider of this name, however it is capitalized: the first of several that the
// provider has. Empty if the bundle knows no such provider; then near has the names that come close, sorted.
func (k *Knowledge) ProviderOf(name string) (aaguid string, near []string) {
	wanted := strings.ToLower(strings.TrimSpace(name))
	for _, id := range slices.Sorted(maps.Keys(k.Authenticators)) {
		known := k.Authenticators[id].Name
		if strings.EqualFold(known, wanted) {
			return id, nil
		}
		if alike(strings.ToLower(known), wanted) && !slices.Contains(near, known) {
			near = append(near, known)
		}
	}
	slices.SortFunc(near, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	const few = 5
	near = near[:min(len(near), few)]
	slices.Sort(near)
	return "", near
}

// alike reports whether a word of one name begins with a word of the other.
func alike(known, wanted string) bool {
	for word := range strings.FieldsSeq(wanted) {
		if len(word) > 2 && strings.Contains(" "+known, " "+word) {
			return true
		}
	}
	return false
}
