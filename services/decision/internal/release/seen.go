package release

import (
	"context"
	"slices"
	"strconv"

	"github.com/keyward/keyward/core/ident"
)

// Answer is how a decision came out, as far as answers are compared.
type Answer struct {
	Rule     string   `json:"rule"`
	Tag      string   `json:"tag,omitempty"` // empty of risk
	Allow    bool     `json:"allow"`
	Risk     string   `json:"risk,omitempty"` // what the rules of risk say; empty if there are none
	RiskRule string   `json:"riskRule,omitempty"`
	Reasons  []string `json:"reasons,omitempty"` // of risk, sorted
}

// Equal reports whether two decisions came out the same.
func (a Answer) Equal(b Answer) bool {
	return a.Rule == b.Rule && a.Tag == b.Tag && a.Allow == b.Allow && a.Risk == b.Risk && a.RiskRule == b.RiskRule &&
		slices.Equal(a.Reasons, b.Reasons)
}

// Difference is what a shadow would have answered otherwise, and how often.
type Difference struct {
	Action   string             `json:"action"`
	Live     Answer             `json:"live"`
	Shadow   Answer             `json:"shadow"`
	Count    int                `json:"count"`
	Examples []ident.DecisionID `json:"examples"`
}

// Seen is what a shadow has seen.
type Seen struct {
	Schema      int          `json:"schema"`
	Compared    int          `json:"compared"`
	Skipped     int          `json:"skipped,omitempty"` // too many waited
	Failed      int          `json:"failed,omitempty"`  // it gave no usable answer
	Failure     string       `json:"failure,omitempty"` // why, of the last
	Differences []Difference `json:"differences,omitempty"`
	Others      int          `json:"others,omitempty"` // of kinds beside those
}

const (
	mostDifferences = 100 // kinds of them
	mostExamples    = 5   // of each
)

// Note counts differences of a kind.
func (s *Seen) Note(d Difference) {
	d.Count = max(d.Count, 1)
	at := slices.IndexFunc(s.Differences, func(known Difference) bool {
		return known.Action == d.Action && known.Live.Equal(d.Live) && known.Shadow.Equal(d.Shadow)
	})
	if at < 0 {
		if len(s.Differences) >= mostDifferences {
			s.Others += d.Count
			return
		}
		s.Differences = append(s.Differences, d)
		return
	}
	known := &s.Differences[at]
	known.Count += d.Count
	known.Examples = slices.Concat(known.Examples, d.Examples)
	known.Examples = known.Examples[:min(len(known.Examples), mostExamples)]
}

// Add adds what another instance has seen.
func (s *Seen) Add(other Seen) {
	s.Compared += other.Compared
	s.Skipped += other.Skipped
	s.Failed += other.Failed
	s.Others += other.Others
	if other.Failure != "" {
		s.Failure = other.Failure
	}
	for _, d := range other.Differences {
		s.Note(d)
	}
}

// See says what an instance has seen by the shadow that a change began.
func (s *Store) See(ctx context.Context, change int, instance string, seen Seen) error {
	seen.Schema = schema
	return s.shadows.Put(ctx, strconv.Itoa(change)+"."+instance, seen)
}

// Seen returns what all instances have seen, the most frequent difference first.
func (s *Store) Seen(ctx context.Context, change int) (sum Seen, err error) {
	all, err := collect(s.shadows.All(ctx, strconv.Itoa(change)+".*"))
	for _, seen := range all {
		sum.Add(seen)
	}
	slices.SortStableFunc(sum.Differences, func(a, b Difference) int { return b.Count - a.Count })
	return sum, err
}
