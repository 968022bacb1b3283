// Package oneof says of a value that is none of those there are which these are, and which is meant perhaps. It is pure.
package oneof

import (
	"fmt"
	"strings"

	"github.com/agnivade/levenshtein"
)

// mostLetters bounds what is compared with the values that there are, and tolerance is how many letters may be wrong: one of so many.
const (
	mostLetters = 64
	tolerance   = 3
)

// Say says it.
func Say(got any, want []any) string {
	sent := fmt.Sprint(got)
	all, nearest, best := make([]string, len(want)), "", max(1, (len(sent)+1)/tolerance)+1
	for i, value := range want {
		all[i] = fmt.Sprint(value)
		if len(sent) > mostLetters {
			continue
		}
		if far := levenshtein.ComputeDistance(strings.ToLower(sent), strings.ToLower(all[i])); far < best {
			nearest, best = all[i], far
		}
	}
	said := "must be one of " + strings.Join(all, ", ")
	if nearest != "" {
		said += "; did you mean " + nearest + "?"
	}
	return said
}
