package then

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/keyward/keyward/core/ident"
)

// Segment says of decisions that have something in common what happened after them.
type Segment struct {
	By    string   `json:"by"` // project, os, browser or device
	Of    string   `json:"of"` // which of those; unknown if nobody knows
	Count int      `json:"count"`
	Then  Outcomes `json:"then"`
}

// bys are what decisions are parted by.
func bys() []string { return []string{"project", "os", "browser", "device"} }

// Segments are counted. The zero value has none.
type Segments struct{ of map[[2]string]*Segment }

// Add counts a decision by its project and the facts that it was made from.
func (s *Segments) Add(project ident.ProjectID, facts json.RawMessage, what Then) {
	var found struct {
		Client struct {
			OS      string `json:"os"`
			Browser string `json:"browser"`
			Device  string `json:"device"`
		} `json:"client"`
	}
	_ = json.Unmarshal(facts, &found) // of facts without a client nothing is known
	if s.of == nil {
		s.of = map[[2]string]*Segment{}
	}
	for i, of := range []string{string(project), found.Client.OS, found.Client.Browser, found.Client.Device} {
		key := [2]string{bys()[i], cmp.Or(of, "unknown")}
		if s.of[key] == nil {
			s.of[key] = &Segment{By: key[0], Of: key[1], Then: Outcomes{}}
		}
		s.of[key].Count++
		s.of[key].Then[what]++
	}
}

// All returns them by what they have in common, the largest first.
func (s *Segments) All() []Segment {
	all := make([]Segment, 0, len(s.of))
	for _, one := range s.of {
		all = append(all, *one)
	}
	slices.SortFunc(all, func(a, b Segment) int {
		return cmp.Or(
			cmp.Compare(slices.Index(bys(), a.By), slices.Index(bys(), b.By)), cmp.Compare(b.Count, a.Count), strings.Compare(a.Of, b.Of),
		)
	})
	return all
}

// Write writes a table of segments, or nothing if nobody has told of what happened.
func Write(to io.Writer, all []Segment) error {
	if !slices.ContainsFunc(all, func(s Segment) bool { return s.Then.String() != "" }) {
		return nil
	}
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "\nDECISIONS\tBY\tOF\tTHEN")
	for _, s := range all {
		_, _ = fmt.Fprintf(table, "%d\t%s\t%s\t%s\n", s.Count, s.By, s.Of, s.Then)
	}
	return table.Flush()
}
