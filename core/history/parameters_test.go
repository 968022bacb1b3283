package history_test

import (
	"time"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/history"
)

// defaultParameters returns the figures of the default policy bundle, which the product reads from there.
func defaultParameters() history.Parameters {
	const (
		hour = int64(time.Hour / time.Second)
		day  = 24 * hour
	)
	return history.Parameters{
		Default:                     history.Cooldown{Count: 3, CooldownSeconds: 30 * day},
		AfterError:                  history.Cooldown{Count: 2, CooldownSeconds: 30 * day},
		AfterHybrid:                 history.Cooldown{Count: 3, CooldownSeconds: 30 * day},
		Auto:                        history.Cooldown{Count: 1, CooldownSeconds: 30 * day},
		ConditionalCreate:           history.ConditionalCreate{CooldownSeconds: day},
		CountWindowSeconds:          365 * day,
		StreakThreshold:             2,
		StreakWindowSeconds:         30 * day,
		PositiveStreakWindowSeconds: day,
		PositiveSeconds:             180 * day,
		ProcessSeconds:              hour,
		ClockSkewSeconds:            5 * 60,
		DoubtSeconds:                30 * day,
		ExplicitSources:             []event.Source{event.OneTap, event.Button, event.OtherDevice},
	}
}
