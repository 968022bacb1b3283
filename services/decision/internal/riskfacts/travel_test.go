package riskfacts_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/place"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/ladder"
	"github.com/keyward/keyward/services/decision/internal/riskfacts"
)

func somewhere(country string, asn int, lat, lon float64, radius int) place.Place {
	return place.Place{Country: country, ASN: asn, Point: place.NewPoint(lat, lon), RadiusKm: radius}
}

func berlin() place.Place   { return somewhere("DE", 64500, 52.52, 13.40, 20) }
func munich() place.Place   { return somewhere("DE", 64501, 48.14, 11.58, 20) }
func saoPaulo() place.Place { return somewhere("BR", 64510, -23.55, -46.63, 50) }

// success is a login at a place.
func success(id string, ago time.Duration, at place.Place) event.Event {
	e := login(id, ago, "env-1", "203.0.113.0/24")
	e.Origin = event.NewOrigin("203.0.113.0", "203.0.113.0/24", at)
	return e
}

func TestTravel(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		now    place.Place
		events []event.Event
		want   facts.Travel
	}{
		"a first login comes from nowhere": {now: berlin(), want: facts.Travel{Hours: ladder.Never}},
		"at home": {
			berlin(), []event.Event{success("pke-1", 50*time.Hour, berlin())},
			facts.Travel{Located: true, Hours: 48},
		},
		"in an hour across an ocean": {
			saoPaulo(), []event.Event{success("pke-1", time.Hour, berlin())},
			facts.Travel{Located: true, DistanceKm: 10000, Hours: 1, Kmh: 5000, CountryChanged: true},
		},
		"in a day within a country": {
			munich(), []event.Event{success("pke-1", 20*time.Hour, berlin())},
			facts.Travel{Located: true, DistanceKm: 250, Hours: 12},
		},
		"at once takes a minute": {
			munich(), []event.Event{success("pke-1", 0, berlin())}, facts.Travel{Located: true, DistanceKm: 250, Kmh: 5000},
		},
		"what is within 100 km has not moved": {
			somewhere("DE", 0, 52.5, 14.5, 0), []event.Event{success("pke-1", 0, somewhere("PL", 0, 52.5, 15.5, 0))},
			facts.Travel{Located: true, DistanceKm: 50, CountryChanged: true},
		},
		"the newest success counts": {
			berlin(), []event.Event{success("pke-1", 2*time.Hour, saoPaulo()), success("pke-2", time.Hour, berlin())},
			facts.Travel{Located: true, Hours: 1},
		},
		"but for those that nobody can locate": {
			berlin(), []event.Event{success("pke-1", 2*time.Hour, berlin()), success("pke-2", time.Hour, place.Place{Country: "BR"})},
			facts.Travel{Located: true, Hours: 2},
		},
		"who cannot be located now does not travel": {
			place.Place{Country: "DE"}, []event.Event{success("pke-1", time.Hour, berlin())}, facts.Travel{Hours: ladder.Never},
		},
		"until 30 days ago": {
			berlin(), []event.Event{success("pke-1", 30*day-time.Millisecond, berlin())}, facts.Travel{Located: true, Hours: 336},
		},
		"and no longer": {berlin(), []event.Event{success("pke-1", 30*day, berlin())}, facts.Travel{Hours: ladder.Never}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := input(tc.events...)
			in.Place = tc.now
			if diff := cmp.Diff(&tc.want, riskfacts.Find(in).Travel); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestCountriesAndSystemsThatAreFamiliar(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		now          place.Place
		events       []event.Event
		country, asn facts.Familiarity
	}{
		"a first login is new nowhere":      {berlin(), nil, "unknown", "unknown"},
		"where the account has logged in":   {berlin(), []event.Event{success("pke-1", 179*day, berlin())}, "seen", "seen"},
		"in the same country, by another":   {munich(), []event.Event{success("pke-1", day, berlin())}, "seen", "new"},
		"elsewhere":                         {saoPaulo(), []event.Event{success("pke-1", day, berlin())}, "new", "new"},
		"who cannot be located":             {place.Place{}, []event.Event{success("pke-1", day, berlin())}, "unknown", "unknown"},
		"and could not be":                  {berlin(), []event.Event{success("pke-1", day, place.Place{})}, "unknown", "unknown"},
		"half a year ago is too long":       {berlin(), []event.Event{success("pke-1", 180*day, saoPaulo())}, "unknown", "unknown"},
		"a country may be known by itself":  {place.Place{Country: "DE"}, []event.Event{success("pke-1", day, berlin())}, "seen", "unknown"},
		"an event of before says not where": {berlin(), []event.Event{login("pke-1", day, "env-1", "")}, "unknown", "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := input(tc.events...)
			in.Place = tc.now
			f := riskfacts.Find(in)
			if f.Familiar.Country != tc.country || f.Familiar.ASN != tc.asn {
				t.Errorf("country %s, asn %s", f.Familiar.Country, f.Familiar.ASN)
			}
			if f.Request.Country != tc.now.Country || f.Request.ASN != tc.now.ASN {
				t.Errorf("request %+v", f.Request.Located)
			}
		})
	}
}

func TestTravelMovesInStepsAndHasNoPlaces(t *testing.T) {
	t.Parallel()
	anywhere := rapid.Custom(func(t *rapid.T) place.Place {
		lat, lon := rapid.Float64Range(-90, 90).Draw(t, "lat"), rapid.Float64Range(-180, 180).Draw(t, "lon")
		return somewhere("", 0, lat, lon, rapid.IntRange(0, 1000).Draw(t, "radius"))
	})
	rapid.Check(t, func(t *rapid.T) {
		ago := time.Duration(rapid.Int64Range(-int64(time.Hour), int64(40*day)).Draw(t, "ago"))
		in := input(success("pke-1", ago, anywhere.Draw(t, "was")))
		in.Place = anywhere.Draw(t, "is")
		travel := riskfacts.Find(in).Travel
		for path, value := range map[string]int{
			"travel.distanceKm": travel.DistanceKm, "travel.hours": travel.Hours, "travel.kmh": travel.Kmh,
		} {
			if !slices.Contains(facts.Steps(path), value) {
				t.Fatalf("%s is %d", path, value)
			}
		}
		if !travel.Located && (travel.DistanceKm != 0 || travel.Kmh != 0) {
			t.Fatalf("it is not known where, and yet %+v", travel)
		}
	})
}

func FuzzAddressesAndOriginsOfOldEvents(f *testing.F) {
	f.Add("203.0.113.9:4711", "203.0.113.0", "203.0.113.0/24", "DE", 52.5, 13.5)
	f.Add("[::ffff:203.0.113.9%eth0]:443, 10.0.0.1", "x", "", "Germany", math.Inf(1), math.NaN())
	f.Fuzz(func(t *testing.T, told, address, network, country string, lat, lon float64) {
		e := login("pke-1", day, "env-2", network)
		e.Origin = &event.Origin{Address: address, Network: network, Country: country, Lat: &lat, Lon: &lon}
		in := input(e)
		in.Address, in.Place, in.Environment = told, berlin(), ident.EnvironmentID(address)
		found := riskfacts.Find(in)
		if found.Familiar.Successes != 1 {
			t.Fatalf("found %+v", found.Familiar)
		}
	})
}
