// Package place says where on the earth an address is, as far as somebody's files tell: its country, its autonomous system, and about
// where. It promises that nothing finer than half a degree gets into what is kept or judged. It is pure.
package place

import "math"

// Place is where an address is. The zero value is not known.
type Place struct {
	Country  string `json:"country,omitempty"`  // ISO 3166-1, two capital letters; empty = not known
	ASN      int    `json:"asn,omitempty"`      // of the autonomous system that it is in; 0 = not known
	Point    *Point `json:"point,omitempty"`    // nil = not known
	RadiusKm int    `json:"radiusKm,omitempty"` // within which of the point it is; 0 = not said
}

// Point is a point on the earth, in degrees.
type Point struct {
	Lat float64 `json:"lat"` // from -90 to 90
	Lon float64 `json:"lon"` // from -180 to 180
}

// NewPoint returns a point rounded to half a degree, which is 40 km at most; nil if there is none such.
func NewPoint(lat, lon float64) *Point {
	const north, east, steps = 90, 180, 2
	if !(math.Abs(lat) <= north && math.Abs(lon) <= east) { // nor of what is no number
		return nil
	}
	return &Point{Lat: math.Round(lat*steps)/steps + 0, Lon: math.Round(lon*steps)/steps + 0} // of -0 makes 0
}

// earthKm is the mean radius of the earth (IUGG).
const earthKm = 6371.0088

// Between returns how far two places are apart at least, in km: the great circle between their points, less both radii. It is false if a
// point is not known.
func Between(a, b Place) (km float64, known bool) {
	if a.Point == nil || b.Point == nil {
		return 0, false
	}
	return max(0, a.Point.to(*b.Point)-float64(a.RadiusKm)-float64(b.RadiusKm)), true
}

// to is the haversine formula.
func (p Point) to(q Point) float64 {
	const half, flat = 2, 180
	radians := func(degrees float64) float64 { return degrees * math.Pi / flat }
	lat, lon := math.Sin(radians(q.Lat-p.Lat)/half), math.Sin(radians(q.Lon-p.Lon)/half)
	h := lat*lat + math.Cos(radians(p.Lat))*math.Cos(radians(q.Lat))*lon*lon
	return half * earthKm * math.Asin(math.Sqrt(min(1, h)))
}
