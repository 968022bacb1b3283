// Package locations finds where an address is in the operator's databases, which have the MaxMind DB format. It promises that a database
// that is cut off or wrong in itself is refused when it is read, and that a lookup in one that was taken neither fails nor waits. It is
// pure; files are read elsewhere.
package locations

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/keyward/keyward/core/place"
)

// Database is one in memory. It is immutable.
type Database struct{ reader *maxminddb.Reader }

// record is all that is read of an entry.
type record struct {
	Country struct {
		Code string `maxminddb:"iso_code"`
	} `maxminddb:"country"`
	Location struct {
		Latitude  *float64 `maxminddb:"latitude"`
		Longitude *float64 `maxminddb:"longitude"`
		Radius    uint16   `maxminddb:"accuracy_radius"`
	} `maxminddb:"location"`
	ASN uint32 `maxminddb:"autonomous_system_number"`
}

// Read takes the content of a database, which it keeps. All of it is looked through.
func Read(content []byte) (*Database, error) {
	reader, err := maxminddb.OpenBytes(content)
	if err != nil {
		return nil, fmt.Errorf("read a database of locations: %w", err)
	}
	if err := reader.Verify(); err != nil {
		return nil, fmt.Errorf("look through a database of locations: %w", err)
	}
	return &Database{reader}, nil
}

// Built returns when the database was made.
func (d *Database) Built() time.Time { return d.reader.Metadata.BuildTime() }

// find returns what a database has of an address; nothing if there is no database.
func (d *Database) find(from netip.Addr) (r record) {
	if d == nil {
		return record{}
	}
	if err := d.reader.Lookup(from).Decode(&r); err != nil { // an entry of another form tells nothing
		return record{}
	}
	return r
}

// Databases are those of an operator; nil = there is none.
type Databases struct {
	Country, City, ASN *Database
}

// Find returns where an address is. What no database tells is not known.
func (d Databases) Find(from netip.Addr) place.Place {
	var p place.Place
	if !from.IsValid() {
		return p
	}
	city := d.City.find(from)
	p.Country = city.Country.Code
	if d.Country != nil {
		p.Country = d.Country.find(from).Country.Code
	}
	if !isCountry(p.Country) {
		p.Country = ""
	}
	if lat, lon := city.Location.Latitude, city.Location.Longitude; lat != nil && lon != nil {
		p.Point = place.NewPoint(*lat, *lon)
	}
	if p.Point != nil {
		p.RadiusKm = int(city.Location.Radius)
	}
	p.ASN = int(d.ASN.find(from).ASN)
	return p
}

// isCountry reports whether a text has the form of ISO 3166-1 alpha-2.
func isCountry(code string) bool {
	const letters = 2
	if len(code) != letters {
		return false
	}
	for _, c := range []byte(code) {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return true
}
