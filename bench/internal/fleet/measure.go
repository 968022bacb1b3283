package fleet

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Rounds are what the rounds of one contender measured.
type Rounds []Sample

// Rate and the others are the medians of what a Sample holds.
func (r Rounds) Rate() float64   { return r.median(func(s Sample) float64 { return s.Rate }) }
func (r Rounds) P50() float64    { return r.median(func(s Sample) float64 { return s.P50 }) }
func (r Rounds) P99() float64    { return r.median(func(s Sample) float64 { return s.P99 }) }
func (r Rounds) Memory() float64 { return r.median(func(s Sample) float64 { return s.memory }) }

func (r Rounds) median(of func(Sample) float64) float64 {
	values := make([]float64, len(r))
	for i, s := range r {
		values[i] = of(s)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// Measure puts load on each contender in turn, several rounds, of which the first only warms up.
func (f *Fleet) Measure(ctx context.Context, contenders []*Contender, connections int) ([]Rounds, error) {
	results := make([]Rounds, len(contenders))
	for round := range f.Settings.Rounds + 1 {
		for i, c := range contenders {
			got, err := load(ctx, c.Requests, connections, f.Duration)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.Name, err)
			}
			if round > 0 {
				got.memory = c.Memory()
				results[i] = append(results[i], got)
			}
		}
	}
	return results, nil
}

// Metrics reads the metrics of a Keyward.
func Metrics(admin string) (map[string]*dto.MetricFamily, error) {
	rsp, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	defer func() { _ = rsp.Body.Close() }()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(rsp.Body)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	return families, nil
}
