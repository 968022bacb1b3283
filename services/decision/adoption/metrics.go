package adoption

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/services/decision/adoption/internal/rollfile"
)

// collector tells the sums of the day under way, by action and outcome alone: labels are bounded, and what is by more is asked for.
type collector struct{ file *rollfile.File }

func today() *prometheus.Desc {
	return prometheus.NewDesc("keyward_adoption_today",
		"Passkeys asked for, offered, completed, declined, failed and left since midnight UTC, and logins by other means.",
		[]string{"action", "outcome"}, nil)
}

func holding() *prometheus.Desc {
	return prometheus.NewDesc("keyward_adoption_passkeys", "Passkeys, and users who have any.", []string{"of"}, nil)
}

// Describe implements prometheus.Collector.
func (collector) Describe(to chan<- *prometheus.Desc) {
	to <- today()
	to <- holding()
}

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) {
	const patience = time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	type labels struct{ action, outcome string }
	sums := map[labels]int64{}
	midnight, err := c.file.Today(ctx, func(s *rollfile.Sum) { sums[labels{s.Action, string(s.Outcome)}] += s.N })
	if err != nil || midnight == 0 {
		return
	}
	for l, n := range sums {
		to <- prometheus.MustNewConstMetric(today(), prometheus.GaugeValue, float64(n), l.action, l.outcome)
	}
	holders, err := c.file.Holders(ctx)
	if err != nil {
		return
	}
	var all rollfile.Holders
	for _, h := range holders {
		all.Users, all.Passkeys = all.Users+h.Users, all.Passkeys+h.Passkeys
	}
	to <- prometheus.MustNewConstMetric(holding(), prometheus.GaugeValue, float64(all.Users), "users")
	to <- prometheus.MustNewConstMetric(holding(), prometheus.GaugeValue, float64(all.Passkeys), "passkeys")
}
