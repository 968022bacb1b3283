package place_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/place"
)

func at(lat, lon float64, radius int) place.Place {
	return place.Place{Point: place.NewPoint(lat, lon), RadiusKm: radius}
}

func TestHowFarPlacesAreApart(t *testing.T) {
	t.Parallel()
	berlin := at(52.52, 13.40, 20)
	for name, tc := range map[string]struct {
		to    place.Place
		km    float64
		known bool
	}{
		"the same":                      {berlin, 0, true},
		"Munich":                        {at(48.14, 11.58, 20), 480, true},
		"Sao Paulo":                     {at(-23.55, -46.63, 50), 10180, true},
		"the other side of the date":    {place.Place{Point: &place.Point{Lat: 52.5, Lon: -166.5}}, 8319 - 20, true},
		"within both radii":             {at(53, 13.5, 40), 0, true},
		"a place that nobody can point": {place.Place{Country: "DE"}, 0, false},
	} {
		km, known := place.Between(berlin, tc.to)
		if known != tc.known || math.Abs(km-tc.km) > 30 {
			t.Errorf("%s: %.0f km, %t; want %.0f, %t", name, km, known, tc.km, tc.known)
		}
		if back, _ := place.Between(tc.to, berlin); math.Abs(back-km) > 1e-6 {
			t.Errorf("%s: %f km there, %f back", name, km, back)
		}
	}
}

func TestAPointIsRoundedAndOnTheEarth(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lat, lon := rapid.Float64().Draw(t, "lat"), rapid.Float64Range(-400, 400).Draw(t, "lon")
		p := place.NewPoint(lat, lon)
		if on := math.Abs(lat) <= 90 && math.Abs(lon) <= 180; (p != nil) != on {
			t.Fatalf("a point at %f, %f: %t", lat, lon, p != nil)
		}
		if p == nil {
			return
		}
		if p.Lat*2 != math.Trunc(p.Lat*2) || p.Lon*2 != math.Trunc(p.Lon*2) || math.Abs(p.Lat-lat) > 0.25 || math.Abs(p.Lon-lon) > 0.25 {
			t.Fatalf("%f, %f is rounded to %v", lat, lon, *p)
		}
	})
	if place.NewPoint(math.NaN(), 0) != nil || place.NewPoint(0, math.Inf(1)) != nil {
		t.Error("a point is no number")
	}
}
