package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// responseLimit is the largest response of /readyz that is read, in bytes.
const responseLimit = 1 << 20

// Server returns the component of a running Inner Gateway, probed at its /readyz.
func Server(client *http.Client, url string) Component {
	return Component{Name: "server", Probe: func(ctx context.Context) (Report, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(url, "/")+"/readyz", nil)
		if err != nil {
			return Report{}, fmt.Errorf("--url %s: not a URL", url)
		}
		response, err := client.Do(request)
		if err != nil {
			return Report{}, fmt.Errorf("no Inner Gateway answers: %w", err)
		}
		defer func() { _ = response.Body.Close() }()
		var ready struct {
			Checks   map[string]string `json:"checks"`
			Failing  []string          `json:"failing"`
			Degraded []string          `json:"degraded"`
		}
		if err := json.NewDecoder(io.LimitReader(response.Body, responseLimit)).Decode(&ready); err != nil || ready.Checks == nil {
			return Report{}, errors.New(url + ": the response is not of an Inner Gateway")
		}
		report := Report{Condition: OK, Text: url + " is ready"}
		switch {
		case response.StatusCode != http.StatusOK:
			report.Condition, report.Text = Degraded, url+" is not ready: "+strings.Join(ready.Failing, ", ")
		case len(ready.Degraded) > 0:
			report.Condition, report.Text = Degraded, url+" is ready; degraded: "+strings.Join(ready.Degraded, ", ")
		}
		for _, name := range slices.Sorted(maps.Keys(ready.Checks)) {
			report.Details = append(report.Details, Detail{Name: name, Value: ready.Checks[name]})
		}
		return report, nil
	}}
}
