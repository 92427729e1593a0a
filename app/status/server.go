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

// answerLimit is more than an answer of /readyz ever holds.
const answerLimit = 1 << 20

// Server returns the part that is a running Inner Gateway, asked at its /readyz.
func Server(client *http.Client, url string) Component {
	return Component{Name: "server", Probe: func(ctx context.Context) (Report, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(url, "/")+"/readyz", nil)
		if err != nil {
			return Report{}, fmt.Errorf("--url %s: not a URL", url)
		}
		answer, err := client.Do(request)
		if err != nil {
			return Report{}, fmt.Errorf("no Inner Gateway answers: %w", err)
		}
		defer func() { _ = answer.Body.Close() }()
		var ready struct {
			Checks  map[string]string `json:"checks"`
			Failing []string          `json:"failing"`
		}
		if err := json.NewDecoder(io.LimitReader(answer.Body, answerLimit)).Decode(&ready); err != nil || ready.Checks == nil {
			return Report{}, errors.New(url + ": what answers there is no Inner Gateway")
		}
		report := Report{Condition: OK, Text: url + " is ready"}
		if answer.StatusCode != http.StatusOK {
			report.Condition, report.Text = Degraded, url+" is not ready: "+strings.Join(ready.Failing, ", ")
		}
		for _, name := range slices.Sorted(maps.Keys(ready.Checks)) {
			report.Details = append(report.Details, Detail{Name: name, Value: ready.Checks[name]})
		}
		return report, nil
	}}
}
