package logging_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/logging"
)

func TestLongTextIsClippedByCharacters(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"": "", "äöü": "äöü", "äöüß": "äöü…"} {
		require.Equal(t, want, logging.Clip(text, 3))
	}
}
