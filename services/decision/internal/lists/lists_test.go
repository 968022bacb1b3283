package lists_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/services/decision/internal/document"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/lists"
)

func TestAFileOfAddresses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		file    string
		in, out []string
		line    int // that is to blame
	}{
		"networks and addresses, comments and empty lines": {
			file: "\ufeff# exits\r\n198.51.100.0/24\r\n\r\n 203.0.113.9 # one\n2001:db8:dead::/48\n",
			in:   []string{"198.51.100.0", "198.51.100.255", "203.0.113.9", "2001:db8:dead:ffff::1", "::ffff:203.0.113.9"},
			out:  []string{"198.51.99.255", "198.51.101.0", "203.0.113.8", "2001:db8:deae::"},
		},
		"an empty file lists nothing": {file: "", out: []string{"198.51.100.0", "::"}},
		"everything":                  {file: "0.0.0.0/0\n::/0", in: []string{"0.0.0.0", "255.255.255.255", "::", "ffff::ffff"}},
		"mapped addresses are those of IPv4": {
			file: "::ffff:198.51.100.0/120", in: []string{"198.51.100.7"}, out: []string{"198.51.101.7"},
		},
		"networks that touch or overlap": {
			file: "198.51.101.0/24\n198.51.100.0/24\n198.51.100.128/25", in: []string{"198.51.100.200", "198.51.101.255"},
		},
		"networks of IPv6 shorter than 64 bits": {
			file: "2001:db8::/33", in: []string{"2001:db8:7fff:ffff::1"}, out: []string{"2001:db8:8000::"},
		},
		"a name is none":                           {file: "198.51.100.0/24\ntor.example", line: 2},
		"nor a network of 33 bits":                 {file: "198.51.100.0/33", line: 1},
		"an address with a zone is of one machine": {file: "fe80::1%eth0", line: 1},
		"what has more bits than the network says": {file: "\n\n198.51.100.1/24", line: 3},
		"a line without end":                       {file: "198.51.100.0/24\n" + strings.Repeat("1", 5000), line: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			read, err := lists.ReadAddresses(strings.NewReader(tc.file))
			var fault *lists.LineError
			if tc.line != 0 {
				if !errors.As(err, &fault) || fault.Line != tc.line || !errors.Is(err, lists.ErrLine) {
					t.Errorf("got %v, want a fault of line %d", err, tc.line)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range slices.Concat(tc.in, tc.out) {
				if got := read.Contains(netip.MustParseAddr(text)); got != slices.Contains(tc.in, text) {
					t.Errorf("%s: %t", text, got)
				}
			}
			if read.Contains(netip.Addr{}) {
				t.Error("it has the address that is none")
			}
		})
	}
}

func network(bits int) *rapid.Generator[netip.Prefix] {
	return rapid.Custom(func(t *rapid.T) netip.Prefix {
		raw := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 127, 128, 255}), bits/8, bits/8).Draw(t, "address")
		from, _ := netip.AddrFromSlice(raw)
		prefix, _ := from.Prefix(rapid.IntRange(0, bits).Draw(t, "bits"))
		return prefix
	})
}

func TestASetHasWhatItsNetworksHave(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		prefixes := rapid.SliceOfN(rapid.OneOf(network(32), network(128)), 0, 12).Draw(t, "networks")
		set := lists.NewAddresses(prefixes)
		for _, at := range rapid.SliceOfN(rapid.OneOf(network(32), network(128)), 1, 12).Draw(t, "asked") {
			from := at.Addr()
			for _, one := range []netip.Addr{from, from.Next(), from.Prev()} {
				want := slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(one) })
				if one.IsValid() && !one.Is4In6() && set.Contains(one) != want {
					t.Fatalf("%v has %s: %t, want %t", prefixes, one, set.Contains(one), want)
				}
			}
		}
	})
}

func TestALongListHasWhatAShortOneHas(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	at := func() netip.Addr {
		return netip.AddrFrom4([4]byte{byte(random.Uint32() % 4), byte(random.Uint32()), 0, byte(random.Uint32())})
	}
	known := map[netip.Addr]bool{}
	prefixes := []netip.Prefix{netip.MustParsePrefix("1.250.0.0/15"), netip.MustParsePrefix("255.255.255.254/31")}
	for range 5000 {
		one := at()
		known[one] = true
		prefixes = append(prefixes, netip.PrefixFrom(one, 32))
	}
	long := lists.NewAddresses(prefixes)
	for range 20000 {
		one := at()
		if want := known[one] || prefixes[0].Contains(one); long.Contains(one) != want {
			t.Fatalf("%s: %t", one, !want)
		}
	}
	if !long.Contains(netip.MustParseAddr("255.255.255.255")) || long.Contains(netip.MustParseAddr("255.255.255.253")) {
		t.Error("the last addresses are not told apart")
	}
}

func FuzzFileOfAddresses(f *testing.F) {
	f.Add([]byte("198.51.100.0/24 # one\n2001:db8::/32\n"))
	f.Add([]byte("\ufeff::ffff:1.2.3.4/120\r\n"))
	f.Add([]byte("1.2.3.4/33\n%"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		read, err := lists.ReadAddresses(bytes.NewReader(raw))
		if err != nil {
			return
		}
		for line := range bytes.Lines(raw) {
			text, _, _ := strings.Cut(string(line), "#")
			text = strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
			if prefix, err := lists.Network(text); err == nil && !read.Contains(prefix.Addr()) {
				t.Fatalf("%q is not in what was read of it", text)
			}
		}
	})
}

func learned(t *testing.T, document string) (*lists.Lists, error) {
	t.Helper()
	var space map[string]any
	if err := json.Unmarshal([]byte(document), &space); err != nil {
		t.Fatal(err)
	}
	return lists.Learn(space)
}

const several = `{"lists": {
	"tor": {"kind": "address", "file": "tor.txt"}, "lost": {"kind": "address", "file": "lost.txt"},
	"office": {"kind": "address", "entries": ["203.0.113.0/24"]}, "hosting": {"kind": "asn", "entries": [64500]},
	"far": {"kind": "country", "entries": ["BR"]}, "kiosks": {"kind": "environment", "entries": ["env-7"]}
}}`

func TestListsFindWhatIsInThem(t *testing.T) {
	t.Parallel()
	l, err := learned(t, several)
	if err != nil {
		t.Fatal(err)
	}
	tor := lists.NewAddresses([]netip.Prefix{netip.MustParsePrefix("198.18.7.0/24")})
	for name, tc := range map[string]struct {
		request lists.Request
		in      []string
	}{
		"nothing is known":                {lists.Request{}, nil},
		"an address of a file":            {lists.Request{Address: netip.MustParseAddr("198.18.7.1")}, []string{"tor"}},
		"one of the bundle":               {lists.Request{Address: netip.MustParseAddr("203.0.113.1")}, []string{"office"}},
		"an autonomous system":            {lists.Request{ASN: 64500}, []string{"hosting"}},
		"a country and an environment":    {lists.Request{Country: "BR", Environment: "env-7"}, []string{"far", "kiosks"}},
		"other countries and environment": {lists.Request{Country: "DE", Environment: "env-8", ASN: 1}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.request.Files = lists.Files{"tor.txt": tor}
			want := facts.NewLabels([]string{"far", "hosting", "kiosks", "office", "tor"}, tc.in) // lost.txt has never been read
			if diff := cmp.Diff(want, l.Find(&tc.request)); diff != "" {
				t.Error(diff)
			}
		})
	}
	if diff := cmp.Diff([]string{"lost.txt", "tor.txt"}, l.FileNames()); diff != "" {
		t.Error(diff)
	}
}

func TestListsThatCannotBeAreRefusedWithTheirPlace(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ list, at string }{
		"a network with more bits":    {`{"kind": "address", "entries": ["203.0.113.0/24", "203.0.113.1/24"]}`, "entries.1"},
		"an address that is a number": {`{"kind": "address", "entries": [5]}`, "entries.0"},
		"a system in words":           {`{"kind": "asn", "entries": ["AS64500"]}`, "entries.0"},
		"the system 0":                {`{"kind": "asn", "entries": [0]}`, "entries.0"},
		"a country in small letters":  {`{"kind": "country", "entries": ["de"]}`, "entries.0"},
		"an environment without ID":   {`{"kind": "environment", "entries": [""]}`, "entries.0"},
		"a kind that nobody knows":    {`{"kind": "user"}`, "kind"},
		"a file above":                {`{"kind": "address", "file": "../tor.txt"}`, "file"},
		"a file of countries":         {`{"kind": "country", "file": "far.txt"}`, "file"},
		"a file and entries":          {`{"kind": "address", "file": "tor.txt", "entries": ["::1"]}`, "file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := learned(t, `{"lists": {"one": `+tc.list+`}}`)
			var misfit *document.MisfitError
			if !errors.As(err, &misfit) || strings.Join(misfit.Keys, ".") != "keyward.lists.one."+tc.at {
				t.Errorf("got %v, want it at %s", err, tc.at)
			}
		})
	}
}

func TestANameThatNoListHasIsRefused(t *testing.T) {
	t.Parallel()
	l, err := learned(t, several)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Check([]string{"tor", "office"}); err != nil {
		t.Error(err)
	}
	if err := l.Check([]string{"torr"}, "keyward"); err == nil || !strings.Contains(err.Error(), `"torr"`) {
		t.Errorf("got %v", err)
	}
}

func TestListsOfARecordedDecision(t *testing.T) {
	t.Parallel()
	then, err := learned(t, several)
	if err != nil {
		t.Fatal(err)
	}
	was := facts.Labels{{Name: "far", Has: false}, {Name: "office", Has: true}, {Name: "tor", Has: true}}
	for name, tc := range map[string]struct {
		lists string
		want  facts.Labels
		fails bool
	}{
		"a list that is as it was says what it said": {
			lists: `{"lists": {"tor": {"kind": "address", "file": "tor.txt"}}}`, want: facts.Labels{{Name: "tor", Has: true}},
		},
		"one that changed is asked again": {
			lists: `{"lists": {"far": {"kind": "country", "entries": ["DE"]}, "office": {"kind": "address", "entries": ["198.51.100.0/24"]}}}`,
			want:  facts.Labels{{Name: "far", Has: true}, {Name: "office", Has: false}},
		},
		"one of more than the network, too": {
			lists: `{"lists": {"wide": {"kind": "address", "entries": ["203.0.0.0/16"]}}}`, want: facts.Labels{{Name: "wide", Has: true}},
		},
		"one of less cannot tell":     {lists: `{"lists": {"desk": {"kind": "address", "entries": ["203.0.113.7"]}}}`, fails: true},
		"nor can a file be asked":     {lists: `{"lists": {"vpn": {"kind": "address", "file": "vpn.txt"}}}`, fails: true},
		"without lists there is none": {lists: `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := learned(t, tc.lists)
			if err != nil {
				t.Fatal(err)
			}
			got, err := l.Again(was, then, &lists.Request{Country: "DE"}, netip.MustParsePrefix("203.0.113.0/24"), false)
			if errors.Is(err, lists.ErrAddressNotKept) != tc.fails || cmp.Diff(tc.want, got) != "" {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestOfAnAddressThatWasLeftOutNoListOfAddressesCanBeAsked(t *testing.T) {
	t.Parallel()
	was := facts.Labels{{Name: "office", Has: true}}
	for name, tc := range map[string]struct {
		lists string
		want  facts.Labels
		fails bool
	}{
		"a list of addresses cannot be asked": {lists: `{"lists": {"vpn": {"kind": "address", "entries": ["0.0.0.0/0"]}}}`, fails: true},
		"one with none can": {
			lists: `{"lists": {"vpn": {"kind": "address", "entries": []}}}`, want: facts.Labels{{Name: "vpn"}},
		},
		"one of the decision tells what it did": {
			lists: `{"lists": {"office": {"kind": "address", "entries": ["203.0.113.7"]}}}`, want: was,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := learned(t, tc.lists)
			if err != nil {
				t.Fatal(err)
			}
			got, err := l.Again(was, nil, &lists.Request{}, netip.Prefix{}, true)
			if errors.Is(err, lists.ErrAddressNotKept) != tc.fails || cmp.Diff(tc.want, got) != "" {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func BenchmarkLists(b *testing.B) {
	for _, size := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			random := rand.New(rand.NewPCG(1, 2))
			prefixes := make([]netip.Prefix, size)
			for i := range prefixes {
				prefixes[i] = netip.PrefixFrom(anywhere(random), 32)
			}
			set := lists.NewAddresses(prefixes)
			asked := make([]netip.Addr, 1024)
			for i := range asked {
				asked[i] = anywhere(random)
			}
			i := 0
			for b.Loop() {
				set.Contains(asked[i%len(asked)])
				i++
			}
		})
	}
}

func anywhere(random *rand.Rand) netip.Addr {
	n := random.Uint32()
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

func TestWhoIsInAListOfIdentifiersOrLabels(t *testing.T) {
	t.Parallel()
	l, err := learned(t, `{"lists": {
		"guests": {"kind": "identifier", "entries": ["Ada@Example.com", "@partner.example", "+15551234567", "grace"]},
		"leavers": {"kind": "label", "entries": ["notice-given"]}
	}}`)
	if err != nil {
		t.Fatal(err)
	}
	with := func(of account.IdentifierType, value string) *account.Account {
		return &account.Account{Identifiers: []account.Identifier{
			{Type: account.IdentifierTypeEmail, Value: "other@example.org"}, {Type: of, Value: value},
		}}
	}
	for name, c := range map[string]struct {
		user            *account.Account
		guests, leavers bool
	}{
		"nobody is known":                         {nil, false, false},
		"an address, whatever its case":           {with(account.IdentifierTypeEmail, "ADA@example.COM"), true, false},
		"another at the same domain":              {with(account.IdentifierTypeEmail, "bob@example.com"), false, false},
		"whoever is of a domain":                  {with(account.IdentifierTypeEmail, "eve@Partner.example"), true, false},
		"a domain below it is another":            {with(account.IdentifierTypeEmail, "eve@mail.partner.example"), false, false},
		"a phone number":                          {with(account.IdentifierTypePhone, "+15551234567"), true, false},
		"a user name":                             {with(account.IdentifierTypeUsername, "grace"), true, false},
		"a user name that looks like a domain":    {with(account.IdentifierTypeUsername, "x@partner.example"), false, false},
		"a label":                                 {&account.Account{Labels: []string{"admin", "notice-given"}}, false, true},
		"other labels, and identifiers of nobody": {&account.Account{Labels: []string{"admin"}}, false, false},
	} {
		want := facts.Labels{{Name: "guests", Has: c.guests}, {Name: "leavers", Has: c.leavers}}
		if diff := cmp.Diff(want, l.Find(&lists.Request{User: c.user})); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
	added := lists.Added{"guests": lists.NewEntries(lists.OfIdentifiers, []string{"new@example.org"})}
	if got := l.Find(&lists.Request{User: with(account.IdentifierTypeEmail, "NEW@example.org"), Added: added}); !got[0].Has {
		t.Error("what an operator has added is not found")
	}
	for _, wrong := range []string{"", "@", "ada lovelace", " @ "} {
		if _, err := lists.Entry(lists.OfIdentifiers, wrong); err == nil {
			t.Errorf("%q is taken for an identifier", wrong)
		}
	}
	if form, err := lists.Entry(lists.OfIdentifiers, "@PARTNER.example"); err != nil || form != "@partner.example" {
		t.Errorf("a domain becomes %q, %v", form, err)
	}
	// Of a recorded decision nothing tells which identifiers the user had.
	was := facts.Labels{{Name: "guests", Has: true}, {Name: "leavers"}}
	if got, err := l.Again(was, l, &lists.Request{}, netip.Prefix{}, false); err != nil || cmp.Diff(was, got) != "" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := l.Again(nil, &lists.Lists{}, &lists.Request{}, netip.Prefix{}, false); !errors.Is(err, lists.ErrAddressNotKept) {
		t.Errorf("by other lists: %v", err)
	}
}
