package app

import "github.com/prometheus/client_golang/prometheus"

// Metrics describes all that the process registers, also what has no sample yet.
func (a *App) Metrics() []*prometheus.Desc {
	all := make(chan *prometheus.Desc)
	go func() {
		defer close(all)
		a.registry.Describe(all)
	}()
	var found []*prometheus.Desc
	for one := range all {
		found = append(found, one)
	}
	return found
}
