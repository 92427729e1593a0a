package domains_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/domains/internal/objects"
)

func TestContestedDomainIsRateLimitedAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const burst = 5
	b.config.Controller.WriteRateLimit = config.WriteRateLimit{Burst: burst, Interval: time.Hour}
	b.start()
	r := b.serve("www")
	points := func() string {
		to, _, err := unstructured.NestedString(b.live(objects.Services(), r).Object, "spec", "externalName")
		require.NoError(t, err)
		return to
	}
	edit := func() {
		_, err := b.clients.MergePatch(t.Context(), objects.Services().Resource, b.namespace(), objects.Name(r.cdid),
			[]byte(`{"spec": {"externalName": "elsewhere.test"}}`))
		require.NoError(t, err)
	}
	for range burst - 1 {
		edit()
		b.await("it is restored", func() error {
			if to := points(); to != target {
				return errors.New(to)
			}
			return nil
		})
	}
	others := 0
	b.await("it is rate limited while another one is served", func() error {
		edit()
		others++
		b.serve(fmt.Sprint("other", others))
		if to := points(); to == target {
			return errors.New(to)
		}
		return nil
	})
}
