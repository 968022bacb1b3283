package locations_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/place"
	"github.com/keyward/keyward/core/place/mmdbtest"
	"github.com/keyward/keyward/services/decision/internal/locations"
)

var built = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func cities() []byte {
	return mmdbtest.Write(built, map[string]mmdbtest.Entry{
		"203.0.113.0/24":  mmdbtest.Located("DE", 52.52, 13.40, 20),
		"203.0.113.64/26": mmdbtest.Located("AT", 48.21, 16.37, 5),
		"2001:db8:1::/48": mmdbtest.Located("DE", 53.55, 9.99, 20),
		"192.0.2.0/25":    mmdbtest.Located("Brazil", 95, 0, 7),
		"192.0.2.128/25":  {"country": "BR", "location": "far"},
	})
}

func read(t testing.TB, content []byte) *locations.Database {
	t.Helper()
	d, err := locations.Read(content)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestWhereAnAddressIs(t *testing.T) {
	t.Parallel()
	city := read(t, cities())
	country := read(t, mmdbtest.Write(built, map[string]mmdbtest.Entry{"203.0.113.0/24": {"country": mmdbtest.Entry{"iso_code": "FR"}}}))
	asn := read(t, mmdbtest.Write(built, map[string]mmdbtest.Entry{"203.0.112.0/23": mmdbtest.System(64500)}))
	berlin := place.Place{Country: "DE", Point: &place.Point{Lat: 52.5, Lon: 13.5}, RadiusKm: 20}
	for name, tc := range map[string]struct {
		databases locations.Databases
		address   string
		want      place.Place
	}{
		"nowhere without databases": {locations.Databases{}, "203.0.113.9", place.Place{}},
		"in a city":                 {locations.Databases{City: city}, "203.0.113.9", berlin},
		"a smaller network outweighs": {locations.Databases{City: city}, "203.0.113.70", place.Place{
			Country: "AT", Point: &place.Point{Lat: 48, Lon: 16.5}, RadiusKm: 5,
		}},
		"of IPv6": {locations.Databases{City: city}, "2001:db8:1:2::3", place.Place{
			Country: "DE", Point: &place.Point{Lat: 53.5, Lon: 10}, RadiusKm: 20,
		}},
		"what is not in it is nowhere": {locations.Databases{City: city}, "198.51.100.9", place.Place{}},
		"the database of countries has the word": {locations.Databases{City: city, Country: country}, "203.0.113.9", place.Place{
			Country: "FR", Point: berlin.Point, RadiusKm: 20,
		}},
		"an autonomous system":                {locations.Databases{ASN: asn}, "203.0.113.9", place.Place{ASN: 64500}},
		"what cannot be is not known":         {locations.Databases{City: city}, "192.0.2.9", place.Place{}},
		"nor what has another form":           {locations.Databases{City: city}, "192.0.2.200", place.Place{}},
		"nor where the address that none is.": {locations.Databases{City: city}, "", place.Place{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, _ := netip.ParseAddr(tc.address)
			if diff := cmp.Diff(tc.want, tc.databases.Find(from)); diff != "" {
				t.Error(diff)
			}
		})
	}
	if !city.Built().Equal(built) {
		t.Errorf("it was built at %s", city.Built())
	}
}

func TestADatabaseThatIsCutOffIsRefused(t *testing.T) {
	t.Parallel()
	whole := cities()
	rapid.Check(t, func(t *rapid.T) {
		end := rapid.IntRange(0, len(whole)-1).Draw(t, "end")
		if _, err := locations.Read(whole[:end:end]); err == nil {
			t.Fatalf("the first %d bytes of %d were taken", end, len(whole))
		}
	})
}

func FuzzDatabase(f *testing.F) {
	f.Add(cities(), []byte{203, 0, 113, 9})
	f.Add(mmdbtest.Write(built, map[string]mmdbtest.Entry{"::/1": mmdbtest.System(1)}), []byte{1})
	f.Fuzz(func(t *testing.T, content, address []byte) {
		d, err := locations.Read(content)
		if err != nil {
			return
		}
		from, _ := netip.AddrFromSlice(address)
		p := locations.Databases{Country: d, City: d, ASN: d}.Find(from)
		if p.Point != nil && place.NewPoint(p.Point.Lat, p.Point.Lon) == nil {
			t.Fatalf("it is at %v", *p.Point)
		}
		_ = d.Built()
	})
}

func BenchmarkFind(b *testing.B) {
	city := read(b, cities())
	asn := read(b, mmdbtest.Write(built, map[string]mmdbtest.Entry{"203.0.112.0/23": mmdbtest.System(64500)}))
	databases, from := locations.Databases{City: city, ASN: asn}, netip.MustParseAddr("203.0.113.9")
	b.ReportAllocs()
	for b.Loop() {
		databases.Find(from)
	}
}
