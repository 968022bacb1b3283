package historycache

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/historycache/internal/entry"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/loopbacktest"
	"github.com/keyward/keyward/core/sighting"
)

// BenchmarkMemoryOfSets tells what a redis-server takes for what is seen in a week of users who log in one to five times, two of a
// household at one address and six in a network, one in seven of them in a second browser, and one in twenty of whom fails once.
func BenchmarkMemoryOfSets(b *testing.B) {
	b.Run("all kinds", func(b *testing.B) { memoryOfSets(b, sighting.EveryKind) })
	b.Run("those that the default rules read", func(b *testing.B) {
		memoryOfSets(b, sighting.KindsOf(
			sighting.Kind{Subject: sighting.User, Family: sighting.Good}, sighting.Kind{Subject: sighting.Environment, Family: sighting.Good},
			sighting.Kind{Subject: sighting.User, Family: sighting.Bad}, sighting.Kind{Subject: sighting.Address, Family: sighting.Bad},
			sighting.Kind{Subject: sighting.Network, Family: sighting.Bad},
		))
	})
}

func memoryOfSets(b *testing.B, kept sighting.Kinds) {
	b.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		b.Skip("there is no redis-server")
	}
	const users, batch, household, neighbours = 50_000, 250, 2, 6
	for range b.N {
		port := strconv.Itoa(loopbacktest.Port(b))
		server := exec.Command(path, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
		if err := server.Start(); err != nil {
			b.Fatal(err)
		}
		client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + port, MaxRetries: 50})
		for client.Ping(b.Context()).Err() != nil {
			<-time.After(10 * time.Millisecond)
		}
		before, _ := used(b, client)
		w := newWorld(b, DefaultConfig(), client, func(...entry.Owner) {})
		r, now := rand.New(rand.NewPCG(1, 2)), time.Now()
		var waiting []entry.Sighted
		see := func() {
			if err := w.one.sets.See(b.Context(), Horizon, false, waiting...); err != nil {
				b.Fatal(err)
			}
			waiting = waiting[:0]
		}
		for user := range users {
			add := func(of event.Type) {
				e := some(entry.Of(someone.Project, ident.UserID(fmt.Sprint("usr-", user))))
				e.Type, e.CreatedMs, e.Credential = of, now.Add(-time.Duration(r.Int64N(int64(Horizon)))).UnixMilli(), fmt.Sprint("cre-", user)
				browser, home := fmt.Sprint("env-", user), user/household
				if r.IntN(7) == 0 {
					browser += "-2"
				}
				network := home * household / neighbours
				e.Environment = ident.EnvironmentID(browser)
				address := fmt.Sprintf("%d.%d.%d.%d", 20+network>>16, network>>8&255, network&255, 1+home%200)
				e.Sighted = named.Name(string(e.User), e.Environment, address)
				one, _ := entry.SightedIn(&e)
				one.Keys = kept.Of(one.Keys)
				if waiting = append(waiting, one); len(waiting) >= batch {
					see()
				}
			}
			for range 1 + r.IntN(5) {
				add(event.LoginCompleted)
			}
			if r.IntN(20) == 0 {
				add(event.LoginRefused)
			}
		}
		see()
		after, keys := used(b, client)
		b.ReportMetric(float64(after-before)/users, "B/user")
		b.ReportMetric(float64(keys)/users, "sets/user")
		_ = client.Close()
		_ = server.Process.Kill()
		_ = server.Wait()
	}
}

func used(b *testing.B, client *redis.Client) (bytes, keys int64) {
	b.Helper()
	info, err := client.Info(b.Context(), "memory").Result()
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(info, "used_memory:")
	line, _, _ := strings.Cut(rest, "\r\n")
	if bytes, err = strconv.ParseInt(line, 10, 64); err != nil {
		b.Fatal(err)
	}
	if keys, err = client.DBSize(b.Context()).Result(); err != nil {
		b.Fatal(err)
	}
	return bytes, keys
}
