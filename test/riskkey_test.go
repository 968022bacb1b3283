package test

import (
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
	"github.com/keyward/keyward/core/project"
)

// TestAnotherRiskKeyForgetsCountsAndSaysSo does it beside running processes. Where there is Redis, counts are found again in the log by
// what is left: events that are named by the key before.
func TestAnotherRiskKeyForgetsCountsAndSaysSo(t *testing.T) {
	t.Parallel()
	for _, where := range []shape{
		{name: "one process"},
		{
			name: "two of each", split: true, redis: true,
			parts: []string{"events,decision,ceremony,gateway", "events,decision,ceremony,gateway"},
		},
	} {
		t.Run(where.name, func(t *testing.T) {
			t.Parallel()
			forgetsCounts(t, where)
		})
	}
}

func forgetsCounts(t *testing.T, where shape) {
	clock := &movingClock{}
	st := where.startAt(t, clock.now, func(c *settings.Config) {
		c.Decision.PoliciesDir = bundleWith(t, map[string]any{})
		if !where.split {
			c.NATS.Addr = "127.0.0.1:0"
		}
	})
	countsWhole(t, st, clock)
	s := scene{st.client, clock}
	attacker := s.settled(t, munich, authenticator.Phone())
	attacker.person = attacker.elsewhere(attacker.device)
	spray := func() {
		for range 8 {
			caller{person: s.newPerson(t), address: munich}.report(t, "failure")
		}
	}
	// of each process, since all of them have to hear of the key. That nothing is missing is known in one process alone so soon.
	said := func(complaint string, isSprayed, isComplete bool) {
		t.Helper()
		for _, gateway := range st.gateways() {
			person := *attacker.person
			person.client = gateway
			asked := caller{person: &person, address: munich}
			eventually(t, complaint, func() bool {
				header := asked.start(t).header.Get("X-Keyward-Risk")
				return strings.Contains(header, "address-spray") == isSprayed &&
					(where.redis || strings.Contains(header, "incomplete") != isComplete)
			})
		}
	}

	spray()
	said("the spray is not seen", true, true)
	err := projectsAt(t, st.natsAddress(t)).Update(t.Context(), project1, func(p *project.Project) { p.RotateSightingKey(clock.now()) })
	if err != nil {
		t.Fatal(err)
	}
	said("counts do not begin anew, or do not say so", false, false)
	if where.redis {
		if err := st.redis.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "nothing is found in the log again", func() bool {
			whole, err := st.redis.HExists(t.Context(), "keyward:sightings:kinds", "whole").Result()
			return err == nil && whole
		})
		said("what was forgotten is found again", false, false)
	}
	spray()
	said("what is seen by the next key is not counted", true, false)
	if !where.redis {
		clock.goOn(27 * time.Hour) // the longest window that the default rules read is a day
		said("nothing is ever complete again", false, true)
	}
}
