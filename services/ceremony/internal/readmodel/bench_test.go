package readmodel_test

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/readmodel"
)

// benchUsers returns how many users the benchmarks list: what the variable says, otherwise as many as do not take long.
func benchUsers(tb testing.TB) int {
	tb.Helper()
	text := os.Getenv("KEYWARD_READMODEL_USERS")
	if text == "" {
		return 20_000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

var (
	firstNames = strings.Fields(
		"Ada Grace Alan Linus Barbara Edsger Donald Ken Dennis Margaret Tim Vint Radia Leslie Frances Hedy Katherine John Maria Wei",
	)
	lastNames = strings.Fields(
		"Lovelace Hopper Turing Torvalds Liskov Dijkstra Knuth Thompson Ritchie Hamilton Berners Cerf Perlman Lamport Allen Lamarr Johnson " +
			"Smith Garcia Chen",
	)
)

// benchAccount is the user of a number: three in four active, each with an email address, every other with a phone number, all with a
// passkey.
func benchAccount(project ident.ProjectID, i int) account.Account {
	first, last := firstNames[i%len(firstNames)], lastNames[i/len(firstNames)%len(lastNames)]
	at := started.UnixMilli() + int64(i)*1000
	name := first + " " + last + " " + strconv.Itoa(i%1000)
	status := []account.Status{"active", "active", "active", "pending"}[i%4]
	if i%100 == 0 {
		status = account.StatusDisabled
	}
	a := account.Account{
		Project:    project,
		ID:         ident.NewUserID(),
		FullName:   &name,
		Status:     status,
		UserHandle: make([]byte, 32),
		CreatedMs:  at,
		UpdatedMs:  at,
		Identifiers: []account.Identifier{
			{
				ID:        ident.NewIdentifierID(),
				Type:      account.IdentifierTypeEmail,
				Value:     strings.ToLower(fmt.Sprintf("%s.%s.%d@example.com", first, last, i)),
				Status:    account.IdentifierStatusPrimary,
				CreatedMs: at,
			},
		},
		Credentials: []account.Credential{
			{
				ID:           ident.NewCredentialID(),
				CredentialID: make([]byte, 32),
				PublicKey:    make([]byte, 77),
				AAGUID:       "ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4",
				CreatedMs:    at,
			},
		},
	}
	if i%2 == 0 {
		a.Identifiers = append(a.Identifiers, account.Identifier{
			ID:        ident.NewIdentifierID(),
			Type:      account.IdentifierTypePhone,
			Value:     fmt.Sprintf("+49151%08d", i),
			Status:    account.IdentifierStatusVerified,
			CreatedMs: at,
		})
	}
	return a
}

// fill stores users as fast as the server takes them.
func fill(tb testing.TB, st *storage, project ident.ProjectID, n int) {
	tb.Helper()
	js, err := jetstream.New(st.Conn, jetstream.WithPublishAsyncMaxPending(4096))
	if err != nil {
		tb.Fatal(err)
	}
	for i := range n {
		a := benchAccount(project, i)
		raw, err := json.Marshal(a)
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := js.PublishAsync(
			"$KV."+bus.AccountsBucket+"."+string(project)+"."+string(a.ID), raw, jetstream.WithStallWait(time.Minute),
		); err != nil {
			tb.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
}

// resident returns the memory that the process holds, in MB.
func resident(tb testing.TB) float64 {
	tb.Helper()
	debug.FreeOSMemory()
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmRSS:" {
			kb, err := strconv.ParseFloat(fields[1], 64)
			if err != nil {
				tb.Fatal(err)
			}
			return kb / 1024
		}
	}
	tb.Fatal("no VmRSS")
	return 0
}

// cpu returns how much processor time the process has used.
func cpu(tb testing.TB) time.Duration {
	tb.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func waitBuilt(tb testing.TB, m *readmodel.Store) {
	tb.Helper()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for deadline := time.Now().Add(10 * time.Minute); ; <-look.C {
		detail, building := m.Building()
		if !building {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatal("still being built:", detail)
		}
	}
}

// BenchmarkLists makes a read model of KEYWARD_READMODEL_USERS users and asks for pages of it. The figures of the sub-benchmark "rebuild"
// are of the whole.
func BenchmarkLists(b *testing.B) {
	n := benchUsers(b)
	st := newStorage(b)
	project := ident.NewProjectID()
	fill(b, st, project, n)
	before, used := resident(b), cpu(b)
	began := time.Now()
	m := newModel(b, st, b.TempDir())
	waitBuilt(b, m.Store)
	took := time.Since(began)
	used = cpu(b) - used
	b.Run("rebuild", func(b *testing.B) {
		for b.Loop() {
			_ = n
		}
		b.ReportMetric(took.Seconds(), "rebuild-s")
		b.ReportMetric(used.Seconds(), "rebuild-CPU-s")
		b.ReportMetric(float64(n)/took.Seconds(), "users/s")
		b.ReportMetric(float64(m.FileSize())/(1<<20), "file-MB")
		b.ReportMetric(resident(b)-before, "added-RSS-MB")
		b.ReportMetric(before, "NATS-and-test-RSS-MB")
	})
	// Totals are remembered until the bucket changes; a new user before each question has them counted, and waited for.
	touched := 0
	touch := func() {
		touched++
		st.putUser(b, benchAccount(project, n+touched))
	}
	users := func(list service.List) func() (int32, error) {
		return func() (int32, error) {
			got, err := m.Users(b.Context(), project, list)
			return got.Paging.TotalItems, err
		}
	}
	identifiers := func(list service.List) func() (int32, error) {
		return func() (int32, error) {
			got, err := m.Identifiers(b.Context(), project, list)
			return got.Paging.TotalItems, err
		}
	}
	last, some := n/10, n/2+21
	example := benchAccount(project, some)
	for _, c := range []struct {
		name string
		ask  func() (int32, error)
	}{
		{"users/first", users(service.List{})},
		{"users/first of 1000", users(service.List{PageSize: 1000})},
		{"users/last", users(service.List{Page: last})},
		{"users/middle", users(service.List{Page: last / 2})},
		{"users/by name, first", users(service.List{Sort: "name:asc"})},
		{"users/by name, last", users(service.List{Sort: "name:asc", Page: last})},
		{"users/by name, middle", users(service.List{Sort: "name:desc", Page: last / 2})},
		{"users/active, first", users(service.List{Filter: []string{"status:eq:active"}})},
		{"users/active, last", users(service.List{Filter: []string{"status:eq:active"}, Page: last * 74 / 100})},
		{"users/active by name, first", users(service.List{Filter: []string{"status:eq:active"}, Sort: "name:asc"})},
		{"users/active by name, middle", users(service.List{Filter: []string{"status:eq:active"}, Sort: "name:asc", Page: last / 3})},
		{"users/disabled by name, middle", users(service.List{Filter: []string{"status:eq:disabled"}, Sort: "name:asc", Page: last / 200})},
		{"users/of one name", users(service.List{Filter: []string{"name:eq:" + *example.FullName}})},
		{"users/search, one", users(service.List{Filter: []string{"searchValue:eq:" + example.Identifiers[0].Value}})},
		{"users/search, none", users(service.List{Filter: []string{"searchValue:eq:nobody has this name"}})},
		{"users/search, a name of 1 in 20", users(service.List{Filter: []string{"searchValue:eq:radia"}})},
		{"users/search, a name of 1 in 400", users(service.List{Filter: []string{"searchValue:eq:Radia Perlman"}})},
		{"users/search, all", users(service.List{Filter: []string{"searchValue:eq:example.com"}})},
		{"users/search, two letters", users(service.List{Filter: []string{"searchValue:eq:zq"}})},
		{
			"users/created after the middle",
			users(service.List{Filter: []string{"created:gt:" + strconv.FormatInt(started.UnixMilli()+int64(n)*500, 10)}}),
		},
		{"identifiers/first", identifiers(service.List{})},
		{"identifiers/last", identifiers(service.List{Page: n * 15 / 100})},
		{"identifiers/by value, first", identifiers(service.List{Sort: "identifierValue:asc"})},
		{"identifiers/by value, last", identifiers(service.List{Sort: "identifierValue:asc", Page: n * 15 / 100})},
		{"identifiers/by value, middle", identifiers(service.List{Sort: "identifierValue:asc", Page: n * 15 / 200})},
		{
			"identifiers/of one value",
			identifiers(service.List{Filter: []string{"identifierValue:eq:" + strings.ToUpper(example.Identifiers[0].Value)}}),
		},
		{
			"identifiers/of one value and type",
			identifiers(service.List{Filter: []string{"identifierType:eq:email", "identifierValue:eq:" + example.Identifiers[0].Value}}),
		},
		{"identifiers/phones, first", identifiers(service.List{Filter: []string{"identifierType:eq:phone"}})},
		{"identifiers/phones, last", identifiers(service.List{Filter: []string{"identifierType:eq:phone"}, Page: n * 5 / 100})},
		{"identifiers/phones by user, first", identifiers(service.List{Filter: []string{"identifierType:eq:phone"}, Sort: "userID:asc"})},
	} {
		b.Run(c.name, func(b *testing.B) {
			var took, used []time.Duration
			var items int32
			for b.Loop() {
				touch()
				began, before := time.Now(), cpu(b)
				total, err := c.ask()
				if err != nil {
					b.Fatal(err)
				}
				took, used, items = append(took, time.Since(began)), append(used, cpu(b)-before), total
			}
			slices.Sort(took)
			slices.Sort(used)
			b.ReportMetric(float64(used[len(used)/2].Microseconds())/1000, "p50-CPU-ms")
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(items), "items")
		})
	}
}
