package decision_test

import (
	"testing"
	"time"

	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/facts/factstest"
)

// BenchmarkLogin judges a user with 3 passkeys and 20 events, all in memory.
func BenchmarkLogin(b *testing.B) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	q := factstest.BusyUser(now)
	svc := newService(b, serviceOptions{now: now, events: fakeEvents{events: factstest.BusyHistory(now, 20)}})
	for _, bench := range []struct {
		name string
		with func(*service.LoginQuestion)
		rule string
	}{
		{"worked here", func(*service.LoginQuestion) {}, "L6"},
		{"last row", func(q *service.LoginQuestion) {
			q.Environment = service.Environment{}
			q.Client.ParsedDeviceInfo.OSName, q.Client.ParsedDeviceInfo.OSVersion = "Windows", "11"
		}, "L13"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			q := q
			device := *q.Client.ParsedDeviceInfo
			q.Client.ParsedDeviceInfo = &device
			bench.with(&q)
			b.ReportAllocs()
			for b.Loop() {
				v, err := svc.Login(b.Context(), q)
				if err != nil || v.Rule != bench.rule {
					b.Fatalf("rule %s, error %v", v.Rule, err)
				}
			}
		})
	}
}
