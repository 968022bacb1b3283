package recognition

import (
	"strconv"

	"github.com/keyward/keyward/services/decision/internal/agent"
)

// Telling is the entries of the tables of agents that together tell one thing of a client.
type Telling []agent.Entry

// Tellings returns what entries of the tables tell of a client: that it is a crawler or has no window, is a browser within an app, a web
// view, or of a class of devices. What none tells is left out.
func (r *Rules) Tellings(c *Client) []Telling {
	text := c.Agent.Text
	var all []Telling
	for _, entries := range [...][]agent.Entry{
		r.Agents.Automatic(text), r.Agents.Within(text), r.Agents.Embedded(text, c.Agent.OS), r.Agents.OfClass(text, c.Agent.Device),
	} {
		if len(entries) > 0 {
			all = append(all, entries)
		}
	}
	return all
}

// String names the tables without the entries: agents.bots without "+http" and "googlebot".
func (t Telling) String() string {
	said, table := "", ""
	for n, e := range t {
		if n > 0 {
			said += " and "
		}
		if e.Table != table {
			said += "agents." + e.Table + " without "
		}
		said += strconv.Quote(e.Token)
		table = e.Table
	}
	return said
}

// Without returns the rules without the entries. The rules themselves stay as they are.
func (r *Rules) Without(t Telling) Rules {
	left := *r
	left.Agents, left.known = r.Agents.Without(t), nil
	return left
}

// BrowserMajor is the major version of the browser, 0 if it is unknown.
func (c *Client) BrowserMajor() int { return agent.Major(c.BrowserVersion) }
