package causes

import (
	"fmt"
	"maps"
	"slices"

	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/engine"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/recognition"
)

// lifted is the bundle without something that may be what the answer comes from.
type lifted struct {
	entry string
	by    func() (*engine.Engine, error)
}

// unbarred returns the parameters without each entry that may be what bars the client.
func (i *inquiry) unbarred() []lifted {
	bars := &i.knowledge().Parameters.Bars
	switch i.base.basis.Facts.Environment.Listed {
	case facts.ListedWebdriver, facts.ListedBot:
		return []lifted{i.with("allowWebdriver: true", map[string]any{"allowWebdriver": true})}
	case facts.ListedEmbeddedWebview:
		return []lifted{i.with("embeddedWebviews: allow", map[string]any{"embeddedWebviews": "allow"})}
	case facts.ListedAddress:
		return i.without("blockedAddresses", bars.BlockedAddresses)
	case facts.ListedEnvironment:
		return i.without("blockedEnvironments", bars.BlockedEnvironments)
	case facts.ListedApplication:
		return i.without("blockedApplications", bars.BlockedApplications)
	case facts.ListedRestrictedBrowser:
		return i.without("restrictedBrowserTokens", bars.RestrictedBrowserTokens)
	case facts.ListedOperatingSystem:
		return i.withoutBlocked("blockedOperatingSystems", bars.BlockedOperatingSystems)
	case facts.ListedBrowser:
		return i.withoutBlocked("blockedBrowsers", bars.BlockedBrowsers)
	default:
		return nil
	}
}

func (i *inquiry) knowledge() *detect.Knowledge { return i.by.Knowledge(i.recorded.Project) }

func (i *inquiry) with(entry string, parameters map[string]any) lifted {
	return lifted{entry, func() (*engine.Engine, error) { return i.by.With(parameters) }}
}

func (i *inquiry) without(list string, entries []string) []lifted {
	var all []lifted
	for n, entry := range entries[:min(len(entries), maxEntries)] {
		left := []any{}
		for m, other := range entries {
			if m != n {
				left = append(left, other)
			}
		}
		all = append(all, i.with(list+" without "+entry, map[string]any{list: left}))
	}
	return all
}

func (i *inquiry) withoutBlocked(list string, entries []recognition.Blocked) []lifted {
	var all []lifted
	for n, entry := range entries[:min(len(entries), maxEntries)] {
		left := []any{}
		for m, other := range entries {
			if m == n {
				continue
			}
			one := map[string]any{"name": other.Name}
			if other.Below != "" {
				one["below"] = other.Below
			}
			left = append(left, one)
		}
		name := entry.Name
		if entry.Below != "" {
			name += " below " + entry.Below
		}
		all = append(all, i.with(list+" without "+name, map[string]any{list: left}))
	}
	return all
}

// untold returns the tables of agents without the entries that tell what the client is, and the table of providers with the client's
// system. The first that matters is the nearest.
func (i *inquiry) untold() []lifted {
	clients := &i.knowledge().Clients
	var all []lifted
	for _, telling := range clients.Tellings(&i.base.basis.Found.Client) {
		all = append(all, i.knowing(telling.String(), func(k *detect.Knowledge) error {
			k.Clients = k.Clients.Without(telling)
			return nil
		}))
	}
	return append(all, i.products()...)
}

// products returns the table of providers with the client's system among those that the provider of a passkey has a product for.
func (i *inquiry) products() []lifted {
	known, system := i.knowledge(), i.base.basis.Facts.Client.OS
	q := i.recorded.Question
	if q.Account == nil || system == "" {
		return nil
	}
	var all []lifted
	for n := range q.Account.Passkeys {
		id := q.Account.Passkeys[n].AAGUID
		provider := known.Authenticators[id]
		if len(provider.Platforms) == 0 || slices.Contains(provider.Platforms, system) {
			continue
		}
		all = append(all, i.knowing("aaguids."+id+".platforms and "+system, func(k *detect.Knowledge) error {
			provider.Platforms = append(slices.Clone(provider.Platforms), system)
			k.Authenticators = maps.Clone(k.Authenticators)
			k.Authenticators[id] = provider
			return nil
		}))
	}
	return all
}

// knowing leaves something out of what detection knows.
func (i *inquiry) knowing(entry string, change func(*detect.Knowledge) error) lifted {
	return lifted{entry, func() (*engine.Engine, error) { return i.by.Knowing(change) }}
}

// older returns the parameters with each minimum version lowered to the client's.
func (i *inquiry) older() []lifted {
	client, minimum := &i.base.basis.Found.Client, &i.knowledge().Parameters.MinimumVersions
	var all []lifted
	for _, one := range [...]struct {
		name            string
		version, oldest int
	}{
		{"ios", client.OSMajor, minimum.IOS},
		{"macos", client.OSMajor, minimum.MacOS},
		{"android", client.OSMajor, minimum.Android},
		{"windows", client.OSMajor, minimum.Windows},
		{"managersIos", client.OSMajor, minimum.ManagersIOS},
		{"managersAndroid", client.OSMajor, minimum.ManagersAndroid},
		{"googleIos", client.OSMajor, minimum.GoogleIOS},
		{"googleChrome", client.BrowserMajor(), minimum.GoogleChrome},
	} {
		if one.version > 0 && one.version < one.oldest {
			lowered := map[string]any{"minimumVersions": map[string]any{one.name: one.version}}
			all = append(all, i.with(fmt.Sprintf("minimumVersions.%s: %d", one.name, one.version), lowered))
		}
	}
	return all
}
