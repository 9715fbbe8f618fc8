package store_test

import (
	"testing"

	"orchestra/pkg/store/storetest"
)

func TestTheSampleNounsConform(t *testing.T) { storetest.Conform(t, nil, sampleNouns()...) }
