/* How the full viewer (OHIF) works here: one source, everything from this portal. */
'use strict';

(() => {
  const { logIn, told } = window.argens;

  const hasWebGL2 = (() => {
    try {
      return Boolean(document.createElement('canvas').getContext('webgl2'));
    } catch {
      return false;
    }
  })();

  addEventListener('DOMContentLoaded', () => {
    document.getElementById('argens-without-webgl').hidden = hasWebGL2;
  });

  /* Hanging protocols: what opens in which viewport. */

  const stack = { viewportType: 'stack', toolGroupId: 'default', allowUnmatchedView: true };
  const hasImages = { attribute: 'numImageFrames', weight: 10, constraint: { greaterThan: { value: 0 } } };
  const wasAskedFor = { attribute: 'isDisplaySetFromUrl', weight: 20, constraint: { equals: true } };
  const protocol = (id, name, selectors, viewports, more = {}) => ({
    id,
    name,
    locked: true,
    availableTo: {},
    editableBy: {},
    protocolMatchingRules: [],
    toolGroupIds: ['default'],
    defaultViewport: {
      viewportOptions: stack,
      displaySets: [{ id: Object.keys(selectors)[0], matchedDisplaySetsIndex: -1 }],
    },
    displaySetSelectors: selectors,
    stages: [
      {
        name: 'default',
        viewportStructure: { layoutType: 'grid', properties: { rows: 1, columns: viewports.length } },
        viewports,
      },
    ],
    ...more,
  });

  // Shows the first series as soon as it is known: the exam's others may be large. Where the
  // address names the series to begin with, all must be known first.
  const address = new URLSearchParams(location.search);
  const namesSeries = address.has('initialSeriesInstanceUID');
  const firstImage = address.has('initialSopInstanceUID')
    ? { custom: 'sopInstanceLocation' }
    : { preset: 'middle' };
  const fast = protocol(
    'argensFast',
    'One series',
    { first: { seriesMatchingRules: [hasImages, wasAskedFor] } },
    [
      {
        viewportOptions: { ...stack, viewportId: 'default', initialImageOptions: firstImage },
        displaySets: [{ id: 'first' }],
      },
    ],
    {
      numberOfPriorsReferenced: 0,
      ...(namesSeries ? {} : { hpInitiationCriteria: { minSeriesLoaded: 1 } }),
    }
  );

  const ofStudy = place => ({
    studyMatchingRules: [
      {
        attribute: 'studyInstanceUIDsIndex',
        from: 'options',
        required: true,
        constraint: { equals: { value: place } },
      },
    ],
    seriesMatchingRules: [hasImages, wasAskedFor],
  });
  const compare = protocol(
    'argensCompare',
    'Two exams side by side',
    { one: ofStudy(0), other: ofStudy(1) },
    ['one', 'other'].map(id => ({
      viewportOptions: { ...stack, initialImageOptions: { preset: 'middle' } },
      displaySets: [{ id }],
    })),
    { numberOfPriorsReferenced: 1 }
  );

  /* Lengths on projection images (PS3.3 10.7.1.3): Pixel Spacing is a length in the patient only
     where Pixel Spacing Calibration Type says how it was found; else what can be measured is what
     fell on the detector, and where even that is unknown, pixels. */

  const PROJECTIONS = [
    '1.2.840.10008.5.1.4.1.1.1', // CR; DX, mammography and intra-oral lie below it
    '1.2.840.10008.5.1.4.1.1.12.1', // XA
    '1.2.840.10008.5.1.4.1.1.12.2', // XRF
  ];
  const isProjection = uid => PROJECTIONS.some(one => uid === one || uid?.startsWith(`${one}.`));
  const KINDS = { GEOMETRY: 'ERMF', FIDUCIAL: 'CALIBRATED' };

  function spacingOf(instance, types) {
    const kind = KINDS[instance.PixelSpacingCalibrationType?.trim?.()];
    const [spacing, type] =
      kind && instance.PixelSpacing
        ? [instance.PixelSpacing, types[kind]]
        : instance.ImagerPixelSpacing
          ? [instance.ImagerPixelSpacing, types.PROJECTION]
          : [[1, 1], types.UNCALIBRATED];
    return {
      rowPixelSpacing: Number(spacing[0]),
      columnPixelSpacing: Number(spacing[1]),
      type,
    };
  }

  function calibrateProjections() {
    const { Enums, metaData, utilities } = window.cornerstone;
    const types = Enums.CalibrationTypes;
    const byHand = utilities.calibratedPixelSpacingMetadataProvider;
    metaData.addProvider((kind, imageId) => {
      if (kind !== 'calibratedPixelSpacing') return undefined;
      const known = byHand.get(kind, imageId);
      if (known?.type === types.USER) return undefined; // a person measured something known
      const instance = metaData.get('instance', imageId);
      return isProjection(instance?.SOPClassUID) ? spacingOf(instance, types) : undefined;
    }, 10_000);
  }

  /* Exams of two patients in one window: said as long as both are there. One patient is who has
     the same ID of the same issuer, and no other birth date, sex or family name. */

  const family = name =>
    String(name?.[0]?.Alphabetic ?? name?.Alphabetic ?? name ?? '').split('^')[0].trim().toLowerCase();
  const PLACEHOLDERS = ['', '0', 'UNKNOWN', 'ANONYMOUS', 'ANON', 'NONE', 'N/A', 'NA'];

  function onePatient(one, other) {
    const id = String(one.PatientID ?? '').trim();
    const differ = (a, b) => a && b && a !== b;
    return (
      !PLACEHOLDERS.includes(id.toUpperCase()) &&
      id === String(other.PatientID ?? '').trim() &&
      (one.IssuerOfPatientID ?? '') === (other.IssuerOfPatientID ?? '') &&
      !differ(one.PatientBirthDate, other.PatientBirthDate) &&
      !differ(one.PatientSex, other.PatientSex) &&
      !differ(family(one.PatientName), family(other.PatientName))
    );
  }

  function warnOfTwoPatients({ displaySetService }) {
    const tell = () => {
      const [first, ...rest] = displaySetService
        .getActiveDisplaySets()
        .map(set => set.instances?.[0] ?? set.instance)
        .filter(Boolean);
      const several = rest.some(
        one => one.StudyInstanceUID !== first.StudyInstanceUID && !onePatient(first, one)
      );
      document.getElementById('argens-two-patients').hidden = !several;
    };
    for (const event of Object.values(displaySetService.EVENTS)) {
      displaySetService.subscribe(event, tell);
    }
    tell();
  }

  // Whose image it is stands on each of them: two exams need not be of one person.
  const patientOnImage = {
    id: 'PatientOnImage',
    inheritsFrom: 'ohif.overlayItem',
    label: '',
    title: 'Patient',
    condition: ({ referenceInstance }) => referenceInstance?.PatientName,
    contentF: ({ referenceInstance, formatters }) =>
      [formatters.formatPN(referenceInstance.PatientName), referenceInstance.PatientID]
        .filter(Boolean)
        .join(' · '),
  };

  const extension = {
    id: 'argens',
    version: '1.0.0',
    getHangingProtocolModule: () =>
      [fast, compare].map(one => ({ name: one.id, protocol: one })),
    onModeEnter: (() => {
      let done = false;
      return ({ servicesManager }) => {
        if (!done) {
          calibrateProjections();
          warnOfTwoPatients(servicesManager.services);
        }
        done = true;
      };
    })(),
  };

  const source = {
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
    sourceName: 'argens',
    configuration: {
      friendlyName: 'Argens',
      name: 'argens',
      qidoRoot: '/dicom-web',
      wadoRoot: '/dicom-web',
      wadoUriRoot: '/dicom-web',
      qidoSupportsIncludeField: true,
      supportsReject: false,
      supportsFuzzyMatching: false,
      supportsWildcard: true,
      imageRendering: 'wadors',
      thumbnailRendering: 'thumbnail',
      enableStudyLazyLoad: true,
      omitQuotationForMultipartRequest: true,
      singlepart: 'bulkdata,video,pdf',
      bulkDataURI: { enabled: true },
      dicomUploadEnabled: told.mayUpload === 'yes',
    },
  };

  window.config = {
    name: 'argens',
    routerBasename: '/viewer',
    extensions: [extension],
    modes: [],
    modesConfiguration: { '@ohif/mode-longitudinal': { hangingProtocol: { $set: fast.id } } },
    customizationService: [
      { 'ohif.tours': { $set: [] } },
      { 'viewportOverlay.topLeft': { $unshift: [patientOnImage] } },
    ],
    dataSources: [source],
    defaultDataSourceName: source.sourceName,
    showStudyList: told.mayUpload === 'yes', // exams are found on the portal's own page
    showPatientInfo: 'visible',
    useCPURendering: !hasWebGL2,
    showCPUFallbackMessage: false, // its words are dark on dark: the page says it below
    showLoadingIndicator: true,
    showWarningMessageForCrossOrigin: false,
    strictZSpacingForVolumeViewport: true,
    investigationalUseDialog: { option: 'never' }, // the page itself says what it is not for
    maxNumberOfWebWorkers: 3,
    maxNumRequests: { interaction: 100, thumbnail: 5, prefetch: 25 },
    httpErrorHandler: error => error.status === 401 && logIn(),
    whiteLabeling: {
      createLogoComponentFn: React =>
        React.createElement(
          'a',
          { href: '/', title: 'Argens', className: 'argens-home' },
          React.createElement('img', { src: told.logo, alt: 'Argens', width: 28, height: 28 })
        ),
    },
  };
})();
