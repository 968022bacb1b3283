// Dashboards writes the dashboards that Grafana reads from a short description of them:
//
//	dashboards deploy/grafana           writes a file of each dashboard in dashboards.yaml beside it
//	dashboards -rules FILE deploy/grafana   writes what they ask as rules instead, so that Prometheus' own tool can read it
//
// In a query $of stands for what selects the processes that are looked at.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

type description struct {
	Dashboards []dashboard `yaml:"dashboards"`
}

type dashboard struct {
	ID    string `yaml:"id"`
	Title string `yaml:"title"`
	About string `yaml:"about"`
	Rows  []row  `yaml:"rows"`
}

type row struct {
	Title  string  `yaml:"title"`
	Panels []panel `yaml:"panels"`
}

type panel struct {
	Title   string  `yaml:"title"`
	Help    string  `yaml:"help"`
	Kind    string  `yaml:"kind"` // timeseries unless it says stat
	Unit    string  `yaml:"unit"` // of Grafana, such as ops, s, percentunit, bytes
	Stacked bool    `yaml:"stacked"`
	Queries []query `yaml:"queries"`
}

type query struct {
	Expr   string `yaml:"expr"`
	Legend string `yaml:"legend"`
}

func main() {
	rules := flag.String("rules", "", "write the queries as rules to this `file`")
	flag.Parse()
	if err := run(flag.Arg(0), *rules); err != nil {
		fmt.Fprintln(os.Stderr, "dashboards:", err)
		os.Exit(1)
	}
}

func run(dir, rules string) error {
	text, err := os.ReadFile(filepath.Join(dir, "dashboards.yaml"))
	if err != nil {
		return err
	}
	var read description
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&read); err != nil {
		return err
	}
	if rules != "" {
		return os.WriteFile(rules, asRules(&read), 0o600)
	}
	for i := range read.Dashboards {
		d := &read.Dashboards[i]
		var out bytes.Buffer
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", " ")
		if err := encoder.Encode(d.grafana()); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, d.ID+".json"), out.Bytes(), 0o644); err != nil { //nolint:gosec // everybody may read it
			return err
		}
	}
	return nil
}

// asRules puts every query into a rule of its own, with what Grafana puts in the place of its variables.
func asRules(read *description) []byte {
	type rule struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	var all []rule
	for _, d := range read.Dashboards {
		for _, r := range d.Rows {
			for _, p := range r.Panels {
				for _, q := range p.Queries {
					expr := strings.NewReplacer("$of", `job="keyward"`, "$__rate_interval", "5m", "$__range", "6h").Replace(q.Expr)
					all = append(all, rule{fmt.Sprintf("dashboards:query:%d", len(all)), expr})
				}
			}
		}
	}
	text, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboards", "rules": all}}})
	if err != nil {
		panic(err) // strings are text
	}
	return text
}

type object = map[string]any

// source is what every panel and variable reads from; a board asks which one that is.
func source() object { return object{"type": "prometheus", "uid": "${datasource}"} }

func (d *dashboard) grafana() object {
	var panels []object
	y := 0
	for _, r := range d.Rows {
		panels = append(panels, object{
			"id": len(panels) + 1, "type": "row", "title": r.Title, "collapsed": false, "panels": []any{},
			"gridPos": object{"x": 0, "y": y, "w": 24, "h": 1},
		})
		y++
		x, highest := 0, 0
		for i := range r.Panels {
			p := &r.Panels[i]
			w, h := p.size()
			if x+w > 24 {
				x, y, highest = 0, y+highest, 0
			}
			panels = append(panels, p.grafana(len(panels)+1, object{"x": x, "y": y, "w": w, "h": h}))
			x, highest = x+w, max(highest, h)
		}
		y += highest
	}
	variable := func(name, label, ask string, several bool) object {
		return object{
			"name": name, "label": label, "type": "query", "datasource": source(), "query": object{"query": ask, "refId": name}, "refresh": 2,
			"multi": several, "includeAll": several, "sort": 1,
		}
	}
	return object{
		"uid": d.ID, "title": d.Title, "description": d.About, "tags": []string{"keyward"}, "schemaVersion": 39, "version": 1, "editable": true,
		"time": object{"from": "now-6h", "to": "now"}, "refresh": "30s", "timezone": "browser", "graphTooltip": 1,
		"links": []object{{
			"title": "Keyward", "type": "dashboards", "tags": []string{"keyward"}, "asDropdown": true, "includeVars": true, "keepTime": true,
		}},
		"templating": object{"list": []object{
			{"name": "datasource", "label": "Source", "type": "datasource", "query": "prometheus"},
			variable("job", "Job", "label_values(keyward_build_info, job)", false),
			variable("instance", "Instance", `label_values(keyward_build_info{job="$job"}, instance)`, true),
		}},
		"panels": panels,
	}
}

func (p *panel) size() (w, h int) {
	if p.Kind == "stat" {
		return 4, 4
	}
	return 8, 8
}

func (p *panel) grafana(id int, at object) object {
	kind := p.Kind
	if kind == "" {
		kind = "timeseries"
	}
	targets := make([]object, len(p.Queries))
	for i, q := range p.Queries {
		expr := strings.ReplaceAll(q.Expr, "$of", `job="$job",instance=~"$instance"`)
		targets[i] = object{"refId": string(rune('A' + i)), "expr": expr, "legendFormat": q.Legend, "datasource": source()}
	}
	defaults := object{"unit": p.Unit, "min": 0}
	options := object{}
	if kind == "timeseries" {
		custom := object{"lineWidth": 1, "fillOpacity": 10, "showPoints": "never"}
		if p.Stacked {
			custom["stacking"] = object{"mode": "normal"}
			custom["fillOpacity"] = 40
		}
		defaults["custom"] = custom
		options["tooltip"] = object{"mode": "multi", "sort": "desc"}
		options["legend"] = object{"displayMode": "list", "placement": "bottom"}
	}
	return object{
		"id": id, "type": kind, "title": p.Title, "description": p.Help, "datasource": source(), "gridPos": at, "targets": targets,
		"fieldConfig": object{"defaults": defaults, "overrides": []any{}}, "options": options,
	}
}
