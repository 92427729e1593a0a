package encryption_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/tasks/internal/encryption"
)

// keyring returns a keyring of keys made of these letters; the first one encrypts.
func keyring(t testing.TB, letters string) *encryption.Keyring {
	t.Helper()
	var keys []string
	for letter := range strings.SplitSeq(letters, "") {
		keys = append(keys, base64.StdEncoding.EncodeToString([]byte(strings.Repeat(letter, 32))))
	}
	b, err := encryption.New(&config.Config{Tasks: config.Tasks{EncryptionKeys: config.Secret(strings.Join(keys, ", "))}})
	require.NoError(t, err)
	return b
}

func TestPayloadDecryptsWithItsKeyOnly(t *testing.T) {
	t.Parallel()
	const payload = `{"data":{"TOKEN":"hidden"}}`
	stored := keyring(t, "a").Encrypt([]byte(payload))
	require.NotContains(t, stored, "hidden")
	require.NotEqual(t, stored, keyring(t, "a").Encrypt([]byte(payload)), "equal payloads look alike")
	for _, keys := range []string{"a", "ab", "ba"} {
		opened, err := keyring(t, keys).Decrypt(stored)
		require.NoError(t, err, keys)
		require.JSONEq(t, payload, string(opened))
	}
	_, err := keyring(t, "b").Decrypt(stored)
	require.ErrorIs(t, err, encryption.ErrUnknownKey)
	_, err = (&encryption.Keyring{}).Decrypt(stored)
	require.ErrorIs(t, err, encryption.ErrUnknownKey)
}

func TestCorruptPayloadDoesNotDecrypt(t *testing.T) {
	t.Parallel()
	b := keyring(t, "a")
	stored := b.Encrypt([]byte(`{"a":1}`))
	for i := strings.LastIndex(stored, ":") + 1; i < len(stored); i++ {
		changed := []byte(stored)
		changed[i] ^= 1
		opened, err := b.Decrypt(string(changed))
		if err == nil { // the unused bits of the last digit
			require.JSONEq(t, `{"a":1}`, string(opened))
			continue
		}
		require.ErrorIs(t, err, encryption.ErrCorrupt)
	}
	_, err := b.Decrypt("sealed:")
	require.ErrorIs(t, err, encryption.ErrCorrupt)
}

func TestWithoutKeyPayloadsAreNotEncrypted(t *testing.T) {
	t.Parallel()
	b, err := encryption.New(&config.Config{})
	require.NoError(t, err)
	require.False(t, b.Encrypts())
	require.Equal(t, `{"a":1}`, b.Encrypt([]byte(`{"a":1}`)))
	opened, err := b.Decrypt(`{"a":1}`)
	require.NoError(t, err)
	require.JSONEq(t, `{"a":1}`, string(opened))
}

func TestKeyOfWrongLengthIsRefused(t *testing.T) {
	t.Parallel()
	_, err := encryption.New(&config.Config{Tasks: config.Tasks{EncryptionKeys: "c2hvcnQ="}})
	require.ErrorContains(t, err, "32 bytes")
	require.NotContains(t, err.Error(), "c2hvcnQ")
}

func TestHashMatchesWithItsKeyOnly(t *testing.T) {
	t.Parallel()
	payload, other := []byte(`{"a":"hidden"}`), []byte(`{"a":"hidden!"}`)
	for _, key := range []string{"", "a"} {
		made := hashing(t, key)
		hash := made.Hash(payload)
		require.NotEqual(t, hash, made.Hash(payload), "equal payloads look alike")
		require.True(t, made.MatchesHash(hash, payload))
		require.False(t, made.MatchesHash(hash, other))
		require.True(t, hashing(t, "b"+key).MatchesHash(hash, payload), "after a key rotation")
		require.Equal(t, key == "", hashing(t, "b").MatchesHash(hash, payload), "without the key")
	}
	for _, broken := range []string{"", ":", "::", "a", ":zz:zz", "00000000:00:00"} {
		require.False(t, hashing(t, "a").MatchesHash(broken, payload), broken)
		require.False(t, (&encryption.Keyring{}).MatchesHash(broken, payload), broken)
	}
}

// hashing is keyring, also without letters.
func hashing(t *testing.T, letters string) *encryption.Keyring {
	t.Helper()
	if letters != "" {
		return keyring(t, letters)
	}
	b, err := encryption.New(&config.Config{})
	require.NoError(t, err)
	return b
}

func FuzzDecryptNeverPanics(f *testing.F) {
	b := keyring(f, "a")
	f.Add(b.Encrypt([]byte("{}")))
	f.Add("sealed:00000000:")
	f.Fuzz(func(_ *testing.T, stored string) { _, _ = b.Decrypt(stored) })
}
