package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

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

func (r Rounds) Micros() float64 {
	return r.median(func(s Sample) float64 { return 1e6 * s.spent.Seconds })
}
func (r Rounds) Allocations() float64 {
	return r.median(func(s Sample) float64 { return s.spent.Allocations })
}

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
			got, err := c.Round(ctx, connections, f.Duration)
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

// Round puts load on a contender, and reads what that cost a Keyward.
func (c *Contender) Round(ctx context.Context, connections int, duration time.Duration) (Sample, error) {
	if c.Admin == "" {
		return load(ctx, c.Requests, connections, duration)
	}
	before, err := ReadSpent(c.Admin)
	if err != nil {
		return Sample{}, err
	}
	got, err := load(ctx, c.Requests, connections, duration)
	if err != nil {
		return Sample{}, err
	}
	after, err := ReadSpent(c.Admin)
	got.spent = after.Over(before, int(got.calls))
	return got, err
}

// Spent is what a process has used since it began, or, of one call, on average.
type Spent struct{ Seconds, Allocations float64 }

// Over returns what each of n calls used since before.
func (s Spent) Over(before Spent, n int) Spent {
	calls := float64(n)
	return Spent{(s.Seconds - before.Seconds) / calls, (s.Allocations - before.Allocations) / calls}
}

// ReadSpent returns what a Keyward has used so far.
func ReadSpent(admin string) (Spent, error) {
	families, err := Metrics(admin)
	if err != nil {
		return Spent{}, err
	}
	counter := func(name string) (n float64) {
		for _, metric := range families[name].GetMetric() {
			n += metric.GetCounter().GetValue()
		}
		return n
	}
	spent := Spent{counter("process_cpu_seconds_total"), counter("go_memstats_mallocs_total")}
	if spent.Seconds == 0 || spent.Allocations == 0 {
		return Spent{}, errors.New("the metrics tell nothing of CPU time and allocations")
	}
	return spent, nil
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
