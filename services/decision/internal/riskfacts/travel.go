package riskfacts

import (
	"time"

	"github.com/keyward/keyward/core/place"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/ladder"
)

const (
	// whence is how long ago a success may be that somebody comes from.
	whence = 30 * 24 * time.Hour
	// Within a minute nobody is told from where they are twice: clocks and databases differ by more.
	shortest = time.Minute
	// Whom databases place less than that many km apart may not have moved at all.
	apart = 100
)

// travel compares where the user is with where the newest success was whose place is known.
func travel(in *Input) facts.Travel {
	none := facts.Travel{Hours: ladder.Never}
	last := pastOf(in).newest(in.Now)
	if last == nil {
		return none
	}
	was := last.Origin.Place()
	km, known := place.Between(was, in.Place)
	if !known {
		return none
	}
	ago := in.Now.Sub(time.UnixMilli(last.CreatedMs))
	t := facts.Travel{
		Located: true, DistanceKm: ladder.Kilometres(km), Hours: ladder.Hours(int64(ago / time.Hour)),
		CountryChanged: was.Country != "" && in.Place.Country != "" && was.Country != in.Place.Country,
	}
	if km >= apart {
		t.Kmh = ladder.Speed(km / max(ago, shortest).Hours())
	}
	return t
}

// Recorded puts in the place of what was found of addresses and places that which had been found when they were known. None of it depends
// on what rules or parameters say.
func Recorded(f, was *facts.RiskFacts) {
	f.Request.Located, f.Travel = was.Request.Located, was.Travel
	f.Request.Family, f.Request.Scope = was.Request.Family, was.Request.Scope
	if f.Request.Network != nil && was.Request.Network != nil {
		f.Request.Network = was.Request.Network
	}
	f.Context, f.ContextGiven = was.Context, was.ContextGiven
	if f.Familiar != nil && was.Familiar != nil {
		f.Familiar.Network, f.Familiar.Country, f.Familiar.ASN = was.Familiar.Network, was.Familiar.Country, was.Familiar.ASN
	}
}
