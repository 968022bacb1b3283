// Package whole says of the sets of sightings that a server has which are whole, in a text that is kept beside them. It is pure.
package whole

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/keyward/keyward/core/historycache/internal/entry"
	"github.com/keyward/keyward/core/sighting"
)

// Mark says of the sets of a server: the token, the epoch, the run, the keys evicted so far, and of each kind for which
// generation it is whole, and since when nothing is missing.
type Mark struct {
	Text    string // as it was read
	Token   string
	Epoch   uint64
	Run     string
	Evicted uint64
	Kinds   entry.Whole
	Lost    int64 // until when names of nobody are missing that a writer has lost
}

// String returns the mark as it is kept.
func (m *Mark) String() string {
	text := fmt.Sprintf("%s %d %s %d", m.Token, m.Epoch, m.Run, m.Evicted)
	for _, kind := range m.Kinds {
		text += fmt.Sprintf(" %d %d %d", kind.Generation, kind.Since.Logged, kind.Since.Unknown)
	}
	return text
}

// Parse reads what String returned; nil if it is something else.
func Parse(text string) *Mark {
	parts := strings.Split(text, " ")
	const members, perKind = 4, 3
	if len(parts) != members+perKind*sighting.KindCount {
		return nil
	}
	m := &Mark{Text: text, Token: parts[0], Run: parts[2]}
	var errs []error
	number := func(text string) int64 {
		n, err := strconv.ParseInt(text, 10, 64)
		errs = append(errs, err)
		return n
	}
	m.Epoch, m.Evicted = uint64(number(parts[1])), uint64(number(parts[3]))
	for i := range m.Kinds {
		said := parts[members+perKind*i:]
		m.Kinds[i].Generation = uint64(number(said[0]))
		m.Kinds[i].Since = sighting.Since{Logged: number(said[1]), Unknown: number(said[2])}
	}
	if errors.Join(errs...) != nil {
		return nil
	}
	return m
}
