// Package status reports the health of the platform to operators: modules contribute components, inner status probes them.
package status

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/fx"

	"app238.com/inner/app/guard"
)

// Condition is the health of a component.
type Condition string

// The conditions of a component, from best to worst.
const (
	// OK: the component works.
	OK Condition = "ok"
	// Degraded: the component works with restrictions.
	Degraded Condition = "degraded"
	// Down: the component does not work, or its probe failed.
	Down Condition = "down"
)

// Component is a part of the platform with a health probe. Modules contribute components through the fx group "status".
type Component struct {
	Name string
	// Probe returns the health of the component. Its context has a deadline. It reads the database, the cluster or an engine,
	// since the process may not run the component itself. An error means that the component is down.
	Probe func(ctx context.Context) (Report, error)
}

// Report is the result of a probe.
type Report struct {
	Condition Condition
	// Text is a short summary.
	Text string
	// Details are further facts for operators, in display order.
	Details []Detail
}

// Detail is a name and a value within a Report.
type Detail struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// As annotates the fx constructor of a Component so that it contributes to the group of components.
func As(constructor any) any {
	return fx.Annotate(constructor, fx.ResultTags(`group:"status"`))
}

// MaxListed is how many objects a component lists by name.
const MaxListed = 10

// Listed returns the details of the first of all objects, and one more that counts the rest and says where they are listed. All
// may hold fewer details than there are objects, total counts these.
func Listed(all []Detail, total int64, where string) []Detail {
	all = slices.Clone(all[:min(len(all), MaxListed)])
	if rest := total - int64(len(all)); rest > 0 {
		all = append(all, Detail{Name: fmt.Sprintf("%d more", rest), Value: where})
	}
	return all
}

// ComponentStatus is the health of one component.
type ComponentStatus struct {
	Name      string    `json:"name"`
	Condition Condition `json:"condition"`
	Text      string    `json:"text"`
	Details   []Detail  `json:"details,omitempty"`
}

// PlatformStatus is the health of the platform.
type PlatformStatus struct {
	// Condition is the worst condition of the components.
	Condition  Condition         `json:"condition"`
	Components []ComponentStatus `json:"components"`
}

// ProbeAll probes all components concurrently, each for at most timeout, and returns their health in the same order. The
// message function returns the text of an error for operators.
func ProbeAll(ctx context.Context, components []Component, timeout time.Duration, message func(error) string) PlatformStatus {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	platform := PlatformStatus{Condition: OK, Components: make([]ComponentStatus, len(components))}
	var probes sync.WaitGroup
	for i, component := range components {
		probes.Go(func() {
			var report Report
			err := guard.Call(func() (err error) {
				report, err = component.Probe(ctx)
				return err
			})
			if err != nil {
				report = Report{Condition: Down, Text: message(err)}
			}
			platform.Components[i] = ComponentStatus{Name: component.Name, Condition: report.Condition, Text: report.Text,
				Details: report.Details}
		})
	}
	probes.Wait()
	for _, c := range platform.Components {
		if severity(c.Condition) > severity(platform.Condition) {
			platform.Condition = c.Condition
		}
	}
	return platform
}

func severity(c Condition) int {
	switch c {
	case OK:
		return 0
	case Degraded:
		return 1
	case Down:
	}
	return 2
}
