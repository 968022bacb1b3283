package factstest

import (
	"fmt"
	"strconv"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

// BusyUser is a login start of someone with 3 passkeys, in an environment that is known.
func BusyUser(now time.Time) service.LoginQuestion {
	yes := true
	acct := &account.Account{Project: "pro-1", ID: "usr-1", Status: account.StatusActive}
	for i := range 3 {
		acct.Credentials = append(acct.Credentials, account.Credential{
			ID: ident.CredentialID(
				"cre-" + strconv.Itoa(i),
			),
			CredentialID: fmt.Appendf(nil, "credential %d of this user", i),
			AAGUID:       "fbfc3007-154e-4ecc-8c0b-6e020557d7bd",
			Transports: []string{
				"internal", "hybrid",
			},
			BackupEligible: true,
			CreatedOS:      "macOS",
			CreatedMs:      now.Add(-90 * 24 * time.Hour).UnixMilli(),
		})
	}
	return service.LoginQuestion{
		Question: service.Question{
			Project: "pro-1", Account: acct, Process: "p", Environment: service.Environment{ID: "env-1", Known: true},
			Client: rest.ClientInformation{
				RemoteAddress: "203.0.113.10",
				UserAgent:     "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
				UserVerifyingPlatformAuthenticatorAvailable: &yes, ConditionalMediationAvailable: &yes, BluetoothAvailable: &yes,
				ParsedDeviceInfo: &rest.ParsedDeviceInfo{BrowserName: "Safari", BrowserVersion: "18.1", OSName: "macOS", OSVersion: "15.1"},
				ClientCapabilities: &rest.ClientCapabilities{
					ConditionalCreate:                  &yes,
					ConditionalMediation:               &yes,
					HybridTransport:                    &yes,
					PasskeyPlatformAuthenticator:       &yes,
					UserVerifyingPlatformAuthenticator: &yes,
				},
			},
		},
		Strategy: rest.CrossDeviceAuthenticationStrategyStandard,
	}
}

// BusyHistory is what has happened to the user there: so many events, one every 36 hours.
func BusyHistory(now time.Time, length int) []event.Event {
	events := make([]event.Event, 0, length)
	types := []event.Type{event.LoginCompleted, event.LoginError, event.AppendOffered, event.AppendExplicitAbort}
	for i := range length {
		n := strconv.Itoa(i)
		e := event.Event{
			ID: ident.EventID(
				"pke-" + n,
			),
			Project:     "pro-1",
			User:        "usr-1",
			Type:        types[i%len(types)],
			CreatedMs:   now.Add(-time.Duration(i+1) * 36 * time.Hour).UnixMilli(),
			Process:     "p" + n,
			Environment: "env-1",
			Challenge:   "challenge-" + n,
			Ceremony:    ident.ChallengeID("was-" + n),
		}
		switch e.Type {
		case event.LoginCompleted, event.LoginError:
			e.Route, e.Credential = event.Local, "cre-1"
		default:
			e.Kind = event.KindDefault
		}
		events = append(events, e)
	}
	return events
}
